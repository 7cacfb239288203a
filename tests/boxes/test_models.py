"""Models behind the seam: each that speaks HTTP against a real server on loopback, and those that need none."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from boxwright.errors import (
    BadInput,
    BudgetSpent,
    ContextOverflow,
    ModelError,
    ModelUnreachable,
    NotFound,
    RecordingMiss,
    RecordInvalid,
)
from boxwright.models import (
    Budgeted,
    Completion,
    Message,
    ModelFacts,
    Recorded,
    Scripted,
    ToolDefinition,
    Usage,
    load_model,
)
from boxwright.models.base import Request, ToolCall
from boxwright.models.load import FORMS
from boxwright.models.recorded import request_digest
from boxwright.models.scripted import calling
from boxwright.models.written import WrittenToken, read_written
from boxwright.settings import Settings
from support.model_server import model_server

ASK = [Message(role="system", content="Be exact."), Message(role="user", content="Add 1, 2 and 3.")]
TOOL = ToolDefinition(
    name="adder__add",
    description="Add numbers up.",
    parameters={
        "type": "object",
        "properties": {"numbers": {"type": "array", "items": {"type": "integer"}, "minItems": 1}},
        "required": ["numbers"],
        "additionalProperties": False,
    },
)
CALLED = {"calls": [("adder__add", '{"numbers": [1, 2, 3]}')]}
DEAD = "http://127.0.0.1:9"


async def test_an_openai_server_is_asked_in_its_form_and_read(settings: Settings) -> None:
    with model_server(lambda _: CALLED) as server:
        model = load_model(f"openai/tiny@{server.url}/v1", settings)
        (completion,) = await model.complete(ASK, tools=[TOOL], temperature=0.5, seed=7, max_tokens=99)
    (request,) = server.requests
    assert request["path"] == "/v1/chat/completions"
    assert (request["model"], request["temperature"], request["seed"], request["max_tokens"]) == ("tiny", 0.5, 7, 99)
    assert request["tools"][0]["function"]["parameters"] == TOOL.parameters
    assert completion.tool_calls[0].arguments == {"numbers": [1, 2, 3]}
    assert completion.usage.tokens == 15


async def test_an_openai_conversation_with_a_tool_result_goes_back_whole(settings: Settings) -> None:
    call = calling("adder__add", numbers=[1]).message()
    result = Message(role="tool", content="1", tool_call_id="call_0", name="adder__add")
    with model_server(lambda _: {"content": "1"}) as server:
        await load_model(f"openai/tiny@{server.url}/v1", settings).complete([*ASK, call, result])
    wire = server.requests[0]["messages"]
    assert wire[2]["tool_calls"][0]["function"] == {"name": "adder__add", "arguments": '{"numbers": [1]}'}
    assert wire[3] == {"role": "tool", "content": "1", "tool_call_id": "call_0"}


async def test_arguments_that_are_not_json_are_kept_as_a_fault(settings: Settings) -> None:
    with model_server(lambda _: {"calls": [("adder__add", '{"numbers": [1,')]}) as server:
        (completion,) = await load_model(f"openai/t@{server.url}/v1", settings).complete(ASK)
    assert "not JSON" in completion.tool_calls[0].fault
    assert completion.tool_calls[0].raw == '{"numbers": [1,'


async def test_a_prefix_starts_the_answer_and_several_completions_take_several_seeds(settings: Settings) -> None:
    with model_server(lambda _: {"content": " world"}) as server:
        model = load_model(f"openai/t@{server.url}/v1", settings)
        completions = await model.complete(ASK, n=3, seed=10, prefix="Hello")
    assert [one.text for one in completions] == ["Hello world"] * 3
    assert sorted(request["seed"] for request in server.requests) == [10, 11, 12]
    assert server.requests[0]["messages"][-1] == {"role": "assistant", "content": "Hello"}


@pytest.mark.parametrize(
    ("status", "words"), [(401, "key was refused"), (404, "no such model"), (400, "context length")]
)
async def test_refusals_of_an_openai_server_say_what_to_do(settings: Settings, status: int, words: str) -> None:
    body = {"error": {"message": "context length exceeded", "type": "x", "code": "y"}}
    with (
        model_server(lambda _: {"status": status, "body": body}) as server,
        pytest.raises(ModelError, match=words),
    ):
        await load_model(f"openai/t@{server.url}/v1", settings).complete(ASK)


async def test_no_server_is_told_as_such(settings: Settings) -> None:
    with pytest.raises(ModelUnreachable, match="is the server running"):
        await load_model(f"openai/t@{DEAD}/v1", settings).complete(ASK)
    unreachable = settings.model_copy(update={"ollama_url": DEAD})
    with pytest.raises(ModelUnreachable, match="ollama serve"):
        await load_model("ollama/qwen3:8b", unreachable).complete(ASK)


async def test_ollama_is_asked_for_its_context_and_keeps_the_whole_schema(settings: Settings) -> None:
    with model_server(lambda _: CALLED) as server:
        model = load_model("ollama/qwen3:8b", settings.model_copy(update={"ollama_url": server.url}))
        (completion,) = await model.complete(ASK, tools=[TOOL], seed=3)
    (request,) = server.requests
    assert request["path"] == "/api/chat"
    assert request["options"] == {"num_ctx": 16384, "temperature": 0.0, "num_predict": 4096, "seed": 3}
    sent = request["tools"][0]["function"]["parameters"]
    assert sent["properties"]["numbers"]["items"] == {"type": "integer"}
    assert sent["required"] == ["numbers"]
    assert completion.tool_calls[0].arguments == {"numbers": [1, 2, 3]}
    assert completion.usage == Usage(prompt_tokens=10, completion_tokens=5, seconds=completion.usage.seconds)


async def test_ollama_without_the_model_says_how_to_get_it(settings: Settings) -> None:
    missing = {"status": 404, "body": {"error": "model 'qwen3:8b' not found"}}
    with (
        model_server(lambda _: missing) as server,
        pytest.raises(ModelUnreachable, match="run: ollama pull qwen3:8b"),
    ):
        await load_model("ollama/qwen3:8b", settings.model_copy(update={"ollama_url": server.url})).complete(ASK)


async def test_a_prompt_that_filled_ollamas_context_is_never_silent(settings: Settings) -> None:
    with model_server(lambda _: {"content": "?", "prompt_tokens": 16384}) as server:
        model = load_model("ollama/q", settings.model_copy(update={"ollama_url": server.url}))
        with pytest.raises(ModelError, match="BOXWRIGHT_CONTEXT_TOKENS"):
            await model.complete(ASK)


@pytest.mark.extended
@pytest.mark.filterwarnings("ignore")  # litellm's own
async def test_litellm_reaches_a_provider_and_counts_what_it_cost(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # its import would fetch prices
    pytest.importorskip("litellm", reason="the extra teacher is not installed")
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    with model_server(lambda _: CALLED) as server:
        monkeypatch.setenv("OPENAI_API_BASE", f"{server.url}/v1")
        (completion,) = await load_model("litellm/gpt-4o", settings).complete(ASK, tools=[TOOL])
    assert server.requests[0]["key"] == "Bearer test-key"
    assert completion.tool_calls[0].arguments == {"numbers": [1, 2, 3]}
    assert completion.usage.dollars > 0
    refused = {"status": 401, "body": {"error": {"message": "bad key", "code": "invalid_api_key"}}}
    with model_server(lambda _: refused) as server:
        monkeypatch.setenv("OPENAI_API_BASE", f"{server.url}/v1")
        with pytest.raises(ModelUnreachable, match="key was refused"):
            await load_model("litellm/gpt-4o", settings).complete(ASK)
    with monkeypatch.context() as without:
        without.delenv("OPENAI_API_KEY")
        with pytest.raises(ModelUnreachable, match="there is no key .*set the provider's key"):
            await load_model("litellm/gpt-4o", settings).complete(ASK)
    said = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9100 tokens."
    too_long = {"status": 400, "body": {"error": {"message": said, "code": "context_length_exceeded"}}}
    with model_server(lambda _: too_long) as server:
        monkeypatch.setenv("OPENAI_API_BASE", f"{server.url}/v1")
        with pytest.raises(ContextOverflow) as raised:
            await load_model("litellm/gpt-4o", settings).complete(ASK)
    assert (raised.value.prompt_tokens, raised.value.context_tokens) == (9100, 8192)
    heard: list[tuple[str, str]] = []
    with model_server(lambda _: {"content": "6", "thinking": "1 + 2 + 3"}) as server:
        monkeypatch.setenv("OPENAI_API_BASE", f"{server.url}/v1")
        model = load_model("litellm/gpt-4o", settings)
        (completion,) = await model.complete(ASK, on_text=lambda kind, piece: heard.append((kind, piece)))
    assert (completion.text, completion.thinking) == ("6", "1 + 2 + 3")
    assert heard == [("thinking", "1 + 2 + 3"), ("text", "6")]


async def test_a_recording_gives_each_request_its_answers_in_turn(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    recording = Recorded(path, Scripted(["first", "second", "other"]))
    other = [Message(role="user", content="other")]
    asked = [ASK, ASK, other]
    told = [(await recording.complete(one))[0].text for one in asked]
    replay = Recorded(path)
    assert [(await replay.complete(one))[0].text for one in asked] == told == ["first", "second", "other"]
    assert replay.label == "scripted"
    with pytest.raises(RecordingMiss, match="answer 3"):
        await replay.complete(ASK)
    with pytest.raises(RecordingMiss, match="Add 1, 2 and 3"):
        await replay.complete(ASK, temperature=1.0)


async def test_call_ids_do_not_matter_to_a_recording(tmp_path: Path) -> None:
    def conversation(call_id: str) -> list[Message]:
        call = calling("f").tool_calls[0].model_copy(update={"id": call_id})
        return [
            *ASK,
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", content="1", tool_call_id=call_id, name="f"),
        ]

    await Recorded(tmp_path / "r.jsonl", Scripted(["done"])).complete(conversation("call_a8f"))
    (completion,) = await Recorded(tmp_path / "r.jsonl").complete(conversation("another"))
    assert completion.text == "done"


def test_what_is_recorded_is_what_a_server_is_sent() -> None:
    """The digest is pinned: a recording made before these fields were there has to be found."""
    call = ToolCall(id="a", name="f", arguments={}, fault="bad")
    tool = ToolDefinition(name="a", description="b", parameters={})

    def request(call: ToolCall, thinking: str = "", **more: Any) -> Request:
        said = Message(role="assistant", tool_calls=(call,), thinking=thinking)
        return Request((Message(role="user", content="x"), said), (tool,), n=2, **more)

    before = "sha256:defb6cac0ba341c226ec3ab1b548538910c2947c70b0568dd3df1e1b1d3aaf55"
    assert request_digest(request(call)) == before
    later = request(call.model_copy(update={"raw": "{"}), "hmm", on_text=lambda *_: None)
    assert request_digest(later) == before
    assert request_digest(request(call, schema={"type": "object"})) != before
    assert request_digest(request(call, top_logprobs=5)) != before
    told_of = Message(role="user", content="x", written=(WrittenToken(token="x", logprob=-1.0),))
    plain = Message(role="user", content="x")
    assert request_digest(Request((told_of,))) == request_digest(Request((plain,)))
    assert "written" not in plain.model_dump()  # over which trajectories' digests are made


async def test_the_tokens_a_model_wrote_are_recorded_with_the_likeliest_in_their_places(tmp_path: Path) -> None:
    written = (WrittenToken(token="\xe2", logprob=-0.5, likeliest=(("\xe2", -0.5), ("a", -1.5))),)
    model = Scripted([Completion(text="?", written=written)])
    await Recorded(tmp_path / "r.jsonl", model).complete(ASK, top_logprobs=2)
    assert model.requests[0].top_logprobs == 2
    (completion,) = await Recorded(tmp_path / "r.jsonl").complete(ASK, top_logprobs=2)
    assert completion.message().written == written


def test_tokens_are_read_as_bytes_and_what_is_impossible_is_left_out() -> None:
    likeliest = [
        {"token": "é", "bytes": None, "logprob": -1.0000049},
        {"token": "\ufffd", "bytes": [195], "logprob": -9999.0},
        {"token": "no", "bytes": [110, 111], "logprob": None},
        {"token": "nor", "logprob": float("-inf")},
    ]
    one = {"token": "x", "bytes": [120], "logprob": 0.0, "top_logprobs": likeliest}
    (read,) = read_written([one])
    assert (read.token, read.logprob) == ("x", 0.0)
    assert read.likeliest == (("\xc3\xa9", -1.0), ("\xc3", -9999.0))
    assert read_written([one | {"top_logprobs": []}]) == ()


async def test_a_replay_tells_its_text_at_once_and_the_facts_it_was_made_with(tmp_path: Path) -> None:
    class Knowing(Scripted):
        async def look_up(self) -> ModelFacts:
            return ModelFacts(4096, tools=False, thinking=True, schema=True)

    recording = Recorded(tmp_path / "r.jsonl", Knowing([Completion(text="six", thinking="1 + 2 + 3")]))
    facts = await Budgeted(recording, dollars=1, tokens=10).facts()
    heard: list[tuple[str, str]] = []
    await recording.complete(ASK, on_text=lambda kind, piece: heard.append((kind, piece)))
    replay = Recorded(tmp_path / "r.jsonl")
    (completion,) = await replay.complete(ASK, on_text=lambda kind, piece: heard.append((kind, piece)))
    assert heard == [("thinking", "1 + 2 + 3"), ("text", "six")] * 2
    assert completion.message().thinking == "1 + 2 + 3"
    assert await replay.facts() == facts == ModelFacts(4096, tools=False, thinking=True, schema=True)


async def test_a_torn_last_row_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    await Recorded(path, Scripted(["kept"])).complete(ASK)
    with path.open("a") as stream:
        stream.write('{"request": "sha256:ab", "occ')
    with pytest.warns(UserWarning, match="torn line"):
        again = Recorded(path, Scripted(["new"]))
    assert (await again.complete(ASK))[0].text == "kept"
    assert (await again.complete(ASK))[0].text == "new"
    with pytest.warns(UserWarning, match="torn line"):
        whole = Recorded(path)
    assert [(await whole.complete(ASK))[0].text for _ in range(2)] == ["kept", "new"]


def test_what_is_no_recording_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"some": "row"}\n')
    with pytest.raises(RecordInvalid, match="no recording"):
        Recorded(tmp_path / "x.jsonl")
    with pytest.raises(RecordInvalid, match="there is no recording"):
        Recorded(tmp_path / "y.jsonl")
    (tmp_path / "z.jsonl").write_text('{"format": 1}\n{"request": "a"}\n')
    with pytest.raises(RecordInvalid, match=":2"):
        Recorded(tmp_path / "z.jsonl")


async def test_a_budget_stops_before_the_next_request() -> None:
    costly = Completion(text="x", usage=Usage(prompt_tokens=60, completion_tokens=40, dollars=0.4))
    model = Budgeted(Scripted([costly] * 5), dollars=1.0, tokens=250)
    for _ in range(3):
        await model.complete(ASK)
    with pytest.raises(BudgetSpent, match="BOXWRIGHT_BUDGET_USD"):
        await model.complete(ASK)
    assert model.spent.tokens == 300


ODD_SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "required": ["a"]},
    {"type": "object", "required": ["a"], "properties": {"a": True}},
    {"type": "object", "required": ["a"], "properties": {"a": {"enum": []}}},
    {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/a"}}},
]


@pytest.mark.parametrize("schema", ODD_SCHEMAS)
async def test_rules_leaves_a_tool_alone_whose_arguments_it_cannot_make(
    settings: Settings, schema: dict[str, Any]
) -> None:
    tool = ToolDefinition(name="add", description="Add.", parameters=schema)
    (said,) = await load_model("rules", settings).complete([Message(role="user", content="Add 1")], tools=[tool])
    assert (said.text, said.tool_calls) == ("No tool applies, and I cannot compute.", ())


async def test_rules_fills_a_list_of_anything(settings: Settings) -> None:
    listed = {"type": "object", "required": ["a"], "properties": {"a": {"type": "array", "items": True}}}
    tool = ToolDefinition(name="add", description="Add.", parameters=listed)
    (said,) = await load_model("rules", settings).complete([Message(role="user", content="Add 1, 2")], tools=[tool])
    assert said.tool_calls[0].arguments == {"a": [1, 2]}


async def test_rules_calls_the_tool_that_shares_words_and_answers_with_its_result(settings: Settings) -> None:
    model = load_model("rules", settings)
    other = TOOL.model_copy(update={"name": "dates__weekday", "description": "The weekday of a date."})
    (completion,) = await model.complete(ASK, tools=[other, TOOL])
    assert (completion.tool_calls[0].name, completion.tool_calls[0].arguments) == ("adder__add", {"numbers": [1, 2, 3]})
    (answer,) = await model.complete([*ASK, Message(role="tool", content="6", tool_call_id="c", name="adder__add")])
    assert answer.text == "6"
    (bare,) = await model.complete(ASK)
    assert "No tool applies" in bare.text
    assert "not a language model" in model.label


def test_a_uri_that_names_no_model_says_how_to_write_one(settings: Settings) -> None:
    with pytest.raises(NotFound, match="did you mean 'ollama'"):
        load_model("olama/qwen3", settings)
    with pytest.raises(BadInput, match="names no model"):
        load_model("ollama/", settings)
    with pytest.raises(BadInput, match="lacks its server's address"):
        load_model("openai/gpt", settings)


async def test_a_script_runs_out_loudly() -> None:
    with pytest.raises(ModelError, match="end after 0"):
        await Scripted([]).complete(ASK)


def test_the_guide_shows_every_kind_of_model_and_only_settings_that_exist() -> None:
    guide = (Path(__file__).parent.parent.parent / "docs" / "models.md").read_text(encoding="utf-8")
    shown = {uri.partition("/")[0] for uri in re.findall(r"^\| `([^`]+)` \|", guide, re.MULTILINE)}
    assert set(FORMS) <= shown
    named = {name.lower() for name in re.findall(r"BOXWRIGHT_([A-Z_]+)", guide)}
    assert {"context_tokens", "thinking", "keep_alive"} <= named <= set(Settings.model_fields)


def test_the_shipped_recording_says_that_it_is_hand_written() -> None:
    from importlib import resources

    path = resources.files("boxwright_compare").joinpath("fixtures", "teacher.hand-written.jsonl")
    head = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert head["label"] == "hand-written"
