"""Ollama's form against a real server on loopback: its window, its silent cuts, its streams and its unread calls."""

import asyncio
from typing import Any

import pytest

from boxwright.errors import BadInput, ContextOverflow, ModelError, ModelUnreachable
from boxwright.models import Completion, Message, ModelFacts, ToolDefinition, load_model
from boxwright.models.base import ChatModel
from boxwright.settings import Settings
from support.model_server import ModelServer, always, model_server

ASK = [Message(role="system", content="Be exact."), Message(role="user", content="Add 1, 2 and 3.")]
LONG = [Message(role="user", content="What is the sum of these numbers and of those? " * 2000)]
TOOL = ToolDefinition(name="adder__add", description="Add.", parameters={"type": "object", "properties": {}})
SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}


def _shown(*capabilities: str, length: int = 40960) -> dict[str, dict[str, Any]]:
    info = {"general.architecture": "qwen3", "qwen3.context_length": length}
    return {"/api/show": {"capabilities": ["completion", *capabilities], "model_info": info}}


def _model(server: ModelServer, settings: Settings, **set_to: object) -> ChatModel:
    return load_model("ollama/qwen3:8b", settings.model_copy(update={"ollama_url": server.url, **set_to}))


async def _streamed(server: ModelServer, settings: Settings, **asked: Any) -> tuple[Completion, list[tuple[str, str]]]:
    heard: list[tuple[str, str]] = []
    model = _model(server, settings)
    (completion,) = await model.complete(ASK, on_text=lambda kind, piece: heard.append((kind, piece)), **asked)
    return completion, heard


@pytest.mark.parametrize(
    ("pages", "facts"),
    [
        (_shown("tools", "thinking"), ModelFacts(16384, tools=True, thinking=True, schema=True)),
        (_shown(length=2048), ModelFacts(2048, tools=False, thinking=False, schema=True)),
        ({"/api/show": {"model_info": {}}}, ModelFacts(16384, tools=True, thinking=False, schema=True)),
    ],
)
async def test_no_more_window_is_asked_for_than_the_model_has(
    settings: Settings, pages: Any, facts: ModelFacts
) -> None:
    with model_server(lambda _: {"content": "6"}, pages=pages) as server:
        model = _model(server, settings)
        assert await model.facts() == facts
        await model.complete(ASK)
    assert server.requests[0]["options"]["num_ctx"] == facts.context_tokens


async def test_the_likeliest_tokens_are_asked_for_and_kept(settings: Settings) -> None:
    likeliest = [{"token": "6", "logprob": -0.1}, {"token": "7", "logprob": -2.5}]
    part = {"model": "m", "message": {"role": "assistant", "content": "6"}, "done": True}
    part["logprobs"] = [{"token": "6", "logprob": -0.1, "top_logprobs": likeliest}]
    with model_server(lambda _: {"chunks": [part]}) as server:
        completion, _ = await _streamed(server, settings, top_logprobs=2)
    assert (server.requests[0]["logprobs"], server.requests[0]["top_logprobs"]) == (True, 2)
    assert completion.logprobs == (("6", -0.1),)
    assert completion.written[0].likeliest == (("6", -0.1), ("7", -2.5))


async def test_ollama_is_told_not_to_cut_and_how_long_to_stay(settings: Settings) -> None:
    with model_server(lambda _: {"content": "6"}) as server:
        await _model(server, settings).complete(ASK)
        await _model(server, settings, keep_alive="-1").complete(ASK, on_text=lambda *_: None)
    first, second = server.requests
    assert (first["truncate"], first["shift"], first["keep_alive"]) == (False, False, "10m")
    assert (second["truncate"], second["shift"], second["keep_alive"]) == (False, False, -1)


def test_a_keep_alive_that_ollama_could_not_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXWRIGHT_KEEP_ALIVE", "ten minutes")
    with pytest.raises(BadInput, match="BOXWRIGHT_KEEP_ALIVE='ten minutes'"):
        Settings()


async def test_thinking_is_set_only_where_the_model_can(settings: Settings) -> None:
    for pages, thinking, sent in (
        (_shown("thinking"), False, False),
        (_shown("thinking"), True, True),
        (_shown(), True, None),
    ):
        with model_server(lambda _: {"content": "6", "thinking": "1 + 2"}, pages=pages) as server:
            (completion,) = await _model(server, settings, thinking=thinking).complete(ASK)
        assert server.requests[0].get("think") is sent
        assert (completion.text, completion.thinking) == ("6", "1 + 2")


async def test_a_schema_is_the_format_where_no_tools_are_shown(settings: Settings) -> None:
    with model_server(lambda _: {"content": '{"sum": 6}'}) as server:
        model = _model(server, settings)
        await model.complete(ASK, schema=SCHEMA)
        await model.complete(ASK, schema=SCHEMA, tools=[TOOL])
    assert server.requests[0]["format"] == SCHEMA
    assert "format" not in server.requests[1]


async def test_the_pieces_of_a_stream_add_up_to_the_same_completion(settings: Settings) -> None:
    reply = {"content": "The sum is 6.", "thinking": "1 + 2 + 3", "calls": [("adder__add", '{"numbers": [1]}')]}
    with model_server(lambda _: reply) as server:
        streamed, heard = await _streamed(server, settings)
        (whole,) = await _model(server, settings).complete(ASK)
    assert "".join(piece for kind, piece in heard if kind == "text") == streamed.text == whole.text
    assert "".join(piece for kind, piece in heard if kind == "thinking") == streamed.thinking == "1 + 2 + 3"
    assert len(heard) > 5
    assert streamed.tool_calls == whole.tool_calls
    assert streamed.usage.tokens == whole.usage.tokens == 15


@pytest.mark.parametrize(("way", "words"), [("dies", "broke off"), ("garbage", "no chat"), ("endless", "went on past")])
async def test_a_stream_gone_wrong_is_one_clear_error(settings: Settings, way: str, words: str) -> None:
    with (
        model_server(lambda _: {"content": "never whole", "stream": way}) as server,
        pytest.raises(ModelError, match=words),
    ):
        await _streamed(server, settings, max_tokens=100)


async def test_giving_up_closes_the_connection(settings: Settings) -> None:
    with model_server(lambda _: {"content": "on and on", "stream": "endless"}) as server:
        begun = asyncio.Event()
        asking = _model(server, settings).complete(ASK, max_tokens=10**9, on_text=lambda *_: begun.set())
        task = asyncio.create_task(asking)
        await asyncio.wait_for(begun.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.hung_up.wait, 10), "the connection stayed open"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "the input length exceeds the context length"),
        (400, "request (15700 tokens) exceeds the available context size (4096 tokens), try increasing it"),
        (500, "template: :3: error calling raise_exception: No user query found in messages."),
    ],
)
async def test_what_ollama_refuses_as_too_long_is_an_overflow(settings: Settings, status: int, error: str) -> None:
    refused = {"status": status, "body": {"error": error}}
    with model_server(lambda _: refused) as server, pytest.raises(ContextOverflow, match="BOXWRIGHT_CONTEXT_TOKENS"):
        await _model(server, settings).complete(ASK)


async def test_a_server_that_cuts_silently_is_found_out(settings: Settings) -> None:
    with model_server(lambda _: {"content": "Which numbers?", "prompt_tokens": 2051}) as server:
        model = _model(server, settings, context_tokens=4096)
        with pytest.raises(ContextOverflow) as raised:
            await model.complete(LONG)
    assert raised.value.context_tokens == 4096
    assert raised.value.prompt_tokens is not None
    assert raised.value.prompt_tokens > 4096


async def test_a_prompt_that_fitted_is_not_taken_for_a_cut_one(settings: Settings) -> None:
    # Estimated above the window, and really below it.
    for prompt_tokens in (16000, 12000, 0):
        with model_server(always({"content": "6", "prompt_tokens": prompt_tokens})) as server:
            (completion,) = await _model(server, settings).complete(LONG)
        assert completion.text == "6"


async def test_a_call_that_ollama_could_not_read_comes_back_to_be_repaired(settings: Settings) -> None:
    error = "error parsing tool call: raw='{\"numbers\": [1, 2, 3]}]', err=invalid character ']' after top-level value"
    with model_server(lambda _: {"status": 500, "body": {"error": error}}) as server:
        (completion,) = await _model(server, settings).complete(ASK, tools=[TOOL])
    assert completion.text == '{"numbers": [1, 2, 3]}]'
    assert completion.finish == "unread-call"
    with model_server(lambda _: {"chunks": [{"error": error}]}) as server:
        completion, _ = await _streamed(server, settings, tools=[TOOL])
    assert completion.text == '{"numbers": [1, 2, 3]}]'


async def test_a_model_that_is_missing_is_told_before_it_is_asked(settings: Settings) -> None:
    pages = {"/api/show": {"status": 404, "error": "model 'qwen3:8b' not found"}}
    with model_server(lambda _: {"content": "6"}, pages=pages) as server:
        with pytest.raises(ModelUnreachable, match="run: ollama pull qwen3:8b"):
            await _model(server, settings).complete(ASK)
        assert not server.requests
