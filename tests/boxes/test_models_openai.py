"""Models of OpenAI's form against a real server on loopback: streams, windows, constrained text, and servers gone wrong."""

import asyncio
from typing import Any

import pytest

from boxwright.errors import ContextOverflow, ModelError, ModelUnreachable
from boxwright.models import Completion, Message, ModelFacts, ToolDefinition, load_model
from boxwright.models.base import ChatModel
from boxwright.models.overflow import read_overflow
from boxwright.settings import Settings
from support.model_server import ModelServer, Reply, always, model_server

ASK = [Message(role="system", content="Be exact."), Message(role="user", content="Add 1, 2 and 3.")]
TOOL = ToolDefinition(name="adder__add", description="Add.", parameters={"type": "object", "properties": {}})
SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
LLAMA_CPP = {"/props": {"default_generation_settings": {"n_ctx": 4096}, "chat_template": "{% if enable_thinking %}"}}
VLLM = {"/v1/models": {"object": "list", "data": [{"id": "t", "max_model_len": 8192}]}}


def _model(server: ModelServer, settings: Settings) -> ChatModel:
    return load_model(f"openai/t@{server.url}/v1", settings)


async def _streamed(server: ModelServer, settings: Settings, **asked: Any) -> tuple[Completion, list[tuple[str, str]]]:
    heard: list[tuple[str, str]] = []
    model = _model(server, settings)
    (completion,) = await model.complete(ASK, on_text=lambda kind, piece: heard.append((kind, piece)), **asked)
    return completion, heard


def _said(heard: list[tuple[str, str]], kind: str) -> str:
    return "".join(piece for one, piece in heard if one == kind)


async def test_the_pieces_of_a_stream_add_up_to_the_same_completion(settings: Settings) -> None:
    reply = {"content": "The sum is 6, exactly.", "thinking": "1 + 2 + 3", "prompt_tokens": 21}
    with model_server(lambda _: reply) as server:
        streamed, heard = await _streamed(server, settings)
        (whole,) = await _model(server, settings).complete(ASK)
    assert len(heard) > 5
    assert (_said(heard, "text"), _said(heard, "thinking")) == ("The sum is 6, exactly.", "1 + 2 + 3")
    assert streamed.usage.model_copy(update={"seconds": 0}) == whole.usage.model_copy(update={"seconds": 0})
    assert streamed.usage.prompt_tokens == 21
    assert (streamed.text, streamed.thinking, streamed.finish) == (whole.text, whole.thinking, whole.finish)


async def test_the_likeliest_tokens_are_asked_for_and_kept_from_an_answer_and_from_a_stream(settings: Settings) -> None:
    likeliest = [{"token": "6", "bytes": [54], "logprob": -0.1}, {"token": "7", "bytes": [55], "logprob": -2.5}]
    told = {"content": [{"token": "6", "bytes": [54], "logprob": -0.1, "top_logprobs": likeliest}]}
    choice = {"index": 0, "message": {"role": "assistant", "content": "6"}, "finish_reason": "stop", "logprobs": told}
    chunk = {"choices": [{"index": 0, "delta": {"content": "6"}, "finish_reason": "stop", "logprobs": told}]}
    with model_server(lambda _: {"choices": [choice], "chunks": [chunk]}) as server:
        (whole,) = await _model(server, settings).complete(ASK, top_logprobs=2)
        streamed, _ = await _streamed(server, settings, top_logprobs=2)
        await _model(server, settings).complete(ASK)
    assert [(body.get("logprobs"), body.get("top_logprobs")) for body in server.requests] == [
        (True, 2),
        (True, 2),
        (None, None),
    ]
    assert whole.written == streamed.written
    assert whole.message().written[0].likeliest == (("6", -0.1), ("7", -2.5))


async def test_streamed_tool_calls_are_put_together(settings: Settings) -> None:
    reply = {"calls": [("adder__add", '{"numbers": [1, 2, 3]}'), ("adder__add", '{"numbers": [4')], "content": "Well:"}
    with model_server(lambda _: reply) as server:
        completion, heard = await _streamed(server, settings, tools=[TOOL])
    first, second = completion.tool_calls
    assert (first.id, first.name, first.arguments, first.raw) == ("call_0", "adder__add", {"numbers": [1, 2, 3]}, "")
    assert (second.arguments, second.raw) == ({}, '{"numbers": [4')
    assert "not JSON" in second.fault
    assert _said(heard, "text") == "Well:"
    assert completion.finish == "tool_calls"


@pytest.mark.parametrize("indexed", [True, False])
async def test_calls_come_apart_by_index_or_by_id(settings: Settings, indexed: bool) -> None:
    def delta(index: int, arguments: str, **head: str) -> dict[str, Any]:
        call = {**({"index": index} if indexed else {}), **head, "function": {"name": "f", "arguments": arguments}}
        return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}

    parts = [delta(0, '{"a":', id="x"), delta(0, " 1}"), delta(1, '{"a": 2}', id="y")]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    with model_server(lambda _: {"chunks": [*parts, end]}) as server:
        completion, _ = await _streamed(server, settings)
    assert [(call.id, call.name, call.arguments) for call in completion.tool_calls] == [
        ("x", "f", {"a": 1}),
        ("y", "f", {"a": 2}),
    ]


@pytest.mark.parametrize("echo", ["", "First, "])
async def test_a_prefix_is_said_once_whether_the_server_echoes_it_or_not(settings: Settings, echo: str) -> None:
    with model_server(lambda _: {"content": f"{echo}add them."}) as server:
        streamed, heard = await _streamed(server, settings, prefix="First, ")
        (whole,) = await _model(server, settings).complete(ASK, prefix="First, ")
    assert streamed.text == whole.text == _said(heard, "text") == "First, add them."


async def test_several_completions_are_not_told_in_pieces(settings: Settings) -> None:
    with model_server(lambda _: {"content": "six"}) as server:
        heard: list[str] = []
        await _model(server, settings).complete(ASK, n=2, on_text=lambda _, piece: heard.append(piece))
    assert not heard
    assert not any(request.get("stream") for request in server.requests)


@pytest.mark.parametrize(
    ("way", "words"),
    [("dies", "broke off"), ("garbage", "no chat completion"), ("endless", "went on past")],
)
async def test_a_stream_gone_wrong_is_one_clear_error(settings: Settings, way: str, words: str) -> None:
    with model_server(lambda _: {"content": "never whole", "stream": way}) as server:
        with pytest.raises(ModelError, match=words):
            await _streamed(server, settings, max_tokens=1)
        if way == "endless":
            assert await asyncio.to_thread(server.hung_up.wait, 10), "the connection stayed open"


async def test_a_server_that_gives_no_stream_is_read_whole(settings: Settings) -> None:
    reply = {"content": "six", "thinking": "1 + 2 + 3", "stream": "whole"}
    with model_server(lambda _: reply) as server:
        streamed, heard = await _streamed(server, settings)
    assert (streamed.text, _said(heard, "text"), _said(heard, "thinking")) == ("six", "six", "1 + 2 + 3")
    assert streamed.usage.prompt_tokens == 10


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "the model is loading"}}, "the model is loading$"),
        ({"error": "busy"}, "busy$"),
        ("<html>a proxy's page</html>", "no chat completion .*a proxy's page"),
        ({"choices": [{"message": {"content": [{"type": "text"}]}}]}, "no chat completion"),
    ],
)
async def test_what_a_server_says_under_http_200_in_place_of_a_stream_is_told(
    settings: Settings, body: Any, words: str
) -> None:
    with model_server(lambda _: {"status": 200, "body": body}) as server, pytest.raises(ModelError, match=words):
        await _streamed(server, settings)


async def test_an_error_of_many_lines_is_told_in_one(settings: Settings) -> None:
    choice = {"index": 0, "delta": {"content": "six"}, "finish_reason": "stop"}
    chunk = {"choices": [choice], "usage": {"prompt_tokens": "many"}}
    with model_server(lambda _: {"chunks": [chunk]}) as server, pytest.raises(ModelError, match="no chat") as raised:
        await _streamed(server, settings)
    assert "\n" not in str(raised.value)


async def test_halves_of_a_surrogate_pair_are_joined_or_replaced(settings: Settings) -> None:
    reply = {"content": "abc\ud83d\ude00 \ud800 end", "calls": [("f", '{"x": "\\ud800"}')]}
    with model_server(lambda _: reply) as server:  # its pieces have four characters
        streamed, heard = await _streamed(server, settings)
        (whole,) = await _model(server, settings).complete(ASK)
    assert streamed.text == whole.text == _said(heard, "text") == "abc😀 \N{REPLACEMENT CHARACTER} end"
    assert streamed.tool_calls[0].arguments == whole.tool_calls[0].arguments == {"x": "\N{REPLACEMENT CHARACTER}"}


async def test_half_a_pair_at_the_very_end_is_told_too(settings: Settings) -> None:
    with model_server(lambda _: {"content": "abc\ud83d"}) as server:
        streamed, heard = await _streamed(server, settings)
    assert streamed.text == _said(heard, "text") == "abc\N{REPLACEMENT CHARACTER}"


async def test_a_window_of_nothing_is_an_unknown_one(settings: Settings) -> None:
    pages = {"/props": {"default_generation_settings": {"n_ctx": 0}}}
    with model_server(lambda _: {}, pages=pages) as server:
        assert (await _model(server, settings).facts()).context_tokens is None


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


async def test_an_error_inside_a_stream_is_read_as_one(settings: Settings) -> None:
    error = {
        "error": {"code": 400, "type": "exceed_context_size_error", "message": "m", "n_prompt_tokens": 9, "n_ctx": 8}
    }
    with model_server(lambda _: {"chunks": [error]}) as server, pytest.raises(ContextOverflow) as raised:
        await _streamed(server, settings)
    assert (raised.value.prompt_tokens, raised.value.context_tokens) == (9, 8)


@pytest.mark.parametrize("reply", [{"choices": []}, {"choices": None}, {"choices": [{"message": None}]}])
async def test_an_answer_without_a_choice_is_no_empty_answer(settings: Settings, reply: Reply) -> None:
    with model_server(lambda _: reply) as server, pytest.raises(ModelError):
        await _model(server, settings).complete(ASK)


async def test_an_answer_cut_at_its_length_says_so(settings: Settings) -> None:
    with model_server(lambda _: {"content": "The sum", "finish": "length"}) as server:
        (whole,) = await _model(server, settings).complete(ASK, max_tokens=2)
        streamed, _ = await _streamed(server, settings, max_tokens=2)
    assert whole.finish == streamed.finish == "length"


@pytest.mark.parametrize(
    ("pages", "facts"),
    [
        (LLAMA_CPP, ModelFacts(4096, tools=True, thinking=True, schema=True)),
        (VLLM, ModelFacts(8192, schema=True)),
        ({}, ModelFacts()),
        ({"/props": {"status": 401}, "/v1/models": {"status": 500}}, ModelFacts()),
    ],
)
async def test_facts_are_what_the_server_tells(settings: Settings, pages: Any, facts: ModelFacts) -> None:
    with model_server(lambda _: {"content": "6"}, pages=pages) as server:
        model = _model(server, settings)
        assert await model.facts() == facts
        await model.complete(ASK)
    # What only local servers take is not sent to one that is not known to be such.
    assert ("chat_template_kwargs" in server.requests[0]) is (facts.context_tokens is not None)


async def test_thinking_is_off_unless_it_is_asked_for(settings: Settings) -> None:
    with model_server(lambda _: {"content": "6"}, pages=LLAMA_CPP) as server:
        await _model(server, settings).complete(ASK)
        await _model(server, settings.model_copy(update={"thinking": True})).complete(ASK)
    sent = [request["chat_template_kwargs"] for request in server.requests]
    assert sent == [{"enable_thinking": False}, {"enable_thinking": True}]


async def test_thinking_is_kept_apart_and_never_sent_back(settings: Settings) -> None:
    with model_server(lambda _: {"content": "6", "thinking": "secret steps"}) as server:
        model = _model(server, settings)
        (completion,) = await model.complete(ASK)
        await model.complete([*ASK, completion.message(), *ASK])
    assert (completion.text, completion.message().thinking) == ("6", "secret steps")
    assert "secret steps" not in str(server.requests[1])


async def test_a_schema_constrains_the_text_where_no_tools_are_shown(settings: Settings) -> None:
    with model_server(lambda _: {"content": '{"sum": 6}'}) as server:
        model = _model(server, settings)
        await model.complete(ASK, schema=SCHEMA)
        await model.complete(ASK, schema=SCHEMA, tools=[TOOL])
    assert server.requests[0]["response_format"]["json_schema"]["schema"] == SCHEMA
    assert "response_format" not in server.requests[1]


async def test_a_prompt_that_a_server_refuses_as_too_long_is_an_overflow(settings: Settings) -> None:
    said = "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens."
    refused = {"status": 400, "body": {"object": "error", "message": said, "type": "BadRequestError", "code": 400}}
    with model_server(lambda _: refused) as server, pytest.raises(ContextOverflow, match="BOXWRIGHT_CONTEXT") as raised:
        await _model(server, settings).complete(ASK)
    assert (raised.value.prompt_tokens, raised.value.context_tokens) == (5000, 4096)
    assert "5000" in str(raised.value)
    assert "4096" in str(raised.value)


# What servers say, as quoted in their issues and sources.
@pytest.mark.parametrize(
    ("said", "prompt", "context"),
    [
        # ggml-org/llama.cpp#15780, textgen#7257
        ('{"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error","n_prompt_tokens":14429,"n_ctx":8192}', 14429, 8192),
        ("request (4018 tokens) exceeds the available context size (1024 tokens), try increasing it", 4018, 1024),
        # vllm-project/vllm#20409
        ("This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the messages, 10000 in the completion). Please reduce the length of the messages or completion.", 112946, 16384),
        # lmstudio-ai/lmstudio-bug-tracker#237
        ("Trying to keep the first 15857 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.", 15857, 4096),
        # OpenAI
        ("This model's maximum context length is 8192 tokens. However, your messages resulted in 9100 tokens. 'code': 'context_length_exceeded'", 9100, 8192),
        # Ollama
        ("the input length exceeds the context length", None, None),
        # Anthropic, through LiteLLM
        ("prompt is too long: 208310 tokens > 200000 maximum", 208310, None),
    ],
)  # fmt: skip
def test_what_servers_say_of_a_prompt_that_does_not_fit_is_understood(
    said: str, prompt: int | None, context: int | None
) -> None:
    overflow = read_overflow("m", said, None)
    assert overflow is not None
    assert (overflow.prompt_tokens, overflow.context_tokens) == (prompt, context)


@pytest.mark.parametrize(
    "said",
    [
        "model 'qwen3:8b' not found",
        "rate limit exceeded: 10000 tokens per minute",
        "You exceeded your current quota, please check your plan",
        "invalid value for max_tokens: must be at least 1",
        "tools param requires --jinja flag",
        "max_tokens exceeds the limit for this account",
        "cannot find the context of this conversation",
    ],
)
def test_other_refusals_are_no_overflow(said: str) -> None:
    assert read_overflow("m", said, 4096) is None


async def test_a_key_or_a_model_that_is_refused_is_unreachable_for_a_stream_too(settings: Settings) -> None:
    for status in (401, 404):
        refused = {"status": status, "body": {"error": {"message": "no"}}}
        with model_server(always(refused)) as server, pytest.raises(ModelUnreachable):
            await _streamed(server, settings)
