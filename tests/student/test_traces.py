"""Trajectories: how they are kept, shown, and exported to the formats of others."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from boxwright.cli.trace import trace
from boxwright.models import Message, ToolCall, ToolDefinition, Usage
from boxwright.trace_export import export
from boxwright.traces import TraceStore, Trajectory

ADD = ToolDefinition(
    name="add", description="Adds.", parameters={"type": "object", "properties": {"a": {"type": "integer"}}}
)
CALL = ToolCall(id="c1", name="add", arguments={"a": 1})
MESSAGES = (
    Message(role="system", content="You solve tasks."),
    Message(role="user", content="1+1?"),
    Message(role="assistant", content="I add.", tool_calls=(CALL,), thinking="easy"),
    Message(role="tool", content="Error: b is missing", tool_call_id="c1", name="add"),
    Message(role="assistant", content="2"),
)
ONE = Trajectory(
    prompt="1+1?",
    messages=MESSAGES,
    times=(0.0, 0.0, 1.5, 1.75, 3.0),
    answer="2",
    ended="answered",
    model="ollama/qwen3:8b",
    tools=("add",),
    definitions=(ADD,),
    usage=Usage(prompt_tokens=30, completion_tokens=5, seconds=2.75),
    started=datetime(2026, 11, 23, tzinfo=UTC),
)
NONE = ONE.model_copy(update={"answer": None, "ended": "steps", "messages": MESSAGES[:4], "times": ()})


@pytest.fixture
def store(tmp_path: Path) -> TraceStore:
    return TraceStore(tmp_path / "t.jsonl")


def test_the_definitions_of_tools_are_kept_once_a_file(store: TraceStore) -> None:
    for _ in range(3):
        store.append(ONE)
    TraceStore(store.path).append(ONE)
    assert store.path.read_text().count('"Adds."') == 1
    assert store.read() == [ONE] * 4


def test_a_trajectory_whose_definitions_were_torn_is_kept_without_them(store: TraceStore) -> None:
    store.append(ONE)
    _, trajectory = store.path.read_text().splitlines()
    store.path.write_text(trajectory + "\n")
    with pytest.warns(UserWarning, match="definitions 'sha256:"):
        (found,) = store.read()
    assert found == ONE.model_copy(update={"definitions": ()})


def test_a_store_whose_file_was_taken_away_begins_anew(store: TraceStore) -> None:
    store.append(ONE)
    store.path.unlink()
    store.append(ONE)
    assert store.read() == [ONE]


@given(st.lists(st.sampled_from(["add", "sub", "mul"]), max_size=6))
def test_whatever_tools_were_shown_a_file_gives_back_what_it_took(names: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        store = TraceStore(Path(folder) / "t.jsonl")
        taken = [
            ONE.model_copy(update={"definitions": tuple(ADD.model_copy(update={"name": one}) for one in names[:at])})
            for at in range(len(names) + 1)
        ]
        for one in taken:
            store.append(one)
        assert TraceStore(store.path).read() == taken


def test_openai_rows_are_the_conversation_and_its_tools() -> None:
    (row,) = export([ONE, NONE], "openai")
    assert row == {
        "messages": [
            {"role": "system", "content": "You solve tasks."},
            {"role": "user", "content": "1+1?"},
            {
                "role": "assistant",
                "content": "I add.",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}],
            },
            {"role": "tool", "content": "Error: b is missing", "tool_call_id": "c1"},
            {"role": "assistant", "content": "2"},
        ],
        "tools": [{"type": "function", "function": ADD.model_dump()}],
    }


def test_what_code_printed_is_the_users_word_in_openai_rows() -> None:
    printed = Message(role="tool", content="2", name="python")
    code = Message(role="assistant", content="```python\nprint(add(a=1))\n```")
    one = ONE.model_copy(update={"messages": (*MESSAGES[:2], code, printed, MESSAGES[4]), "act_language": "code"})
    (row,) = export([one], "openai")
    messages: Any = row["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user", "assistant"]
    assert "tools" not in row


def spans(trajectory: Trajectory, **options: bool) -> list[Any]:
    """Return the spans as the reference implementation of OTLP reads them."""
    json_format = pytest.importorskip("google.protobuf.json_format", reason="the extra 'telemetry' is not installed")
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    row: Any
    (row,) = export([trajectory], "otel", **options)
    for span in row["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for key in ("traceId", "spanId", "parentSpanId"):  # OTLP wants hexadecimal where protobuf's JSON has base64
            if key in span:
                span[key] = b64encode(bytes.fromhex(span[key])).decode()
    return list(json_format.ParseDict(row, TracesData()).resource_spans[0].scope_spans[0].spans)


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_otel_rows_are_a_tree_of_spans_that_opentelemetry_reads() -> None:
    attempt, first, call, second = spans(ONE)
    names = [one.name for one in (attempt, first, call, second)]
    assert names == ["invoke_agent boxwright", "chat qwen3:8b", "execute_tool add", "chat qwen3:8b"]
    assert {one.trace_id for one in (first, call, second)} == {attempt.trace_id}
    assert {one.parent_span_id for one in (first, call, second)} == {attempt.span_id}
    assert len({one.span_id for one in (attempt, first, call, second)}) == 4
    assert attributes(attempt)["gen_ai.usage.input_tokens"] == 30
    assert attributes(call)["gen_ai.operation.name"] == "execute_tool"
    assert (call.status.code, attributes(call)["error.type"]) == (2, "tool_error")
    assert attempt.status.code == 0
    lengths = [(one.end_time_unix_nano - one.start_time_unix_nano) / 1e9 for one in (attempt, first, call, second)]
    assert lengths == [3.0, 1.5, 0.25, 1.25]
    assert "add" not in str(attributes(first))


def test_otel_rows_of_a_failed_attempt_without_times_are_in_order_and_say_why() -> None:
    attempt, first, call = spans(NONE, content=True)
    assert (attempt.status.code, attributes(attempt)["error.type"]) == (2, "steps")
    assert attempt.start_time_unix_nano < first.start_time_unix_nano < call.start_time_unix_nano
    assert json.loads(attributes(first)["gen_ai.output.messages"])[0]["parts"][1]["arguments"] == {"a": 1}
    assert attributes(call)["gen_ai.tool.call.result"] == "Error: b is missing"


def test_attempts_that_are_alike_are_two_traces() -> None:
    rows: list[Any] = list(export([ONE, ONE], "otel"))
    ids = {row["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] for row in rows}
    assert len(ids) == 2


def test_the_command_shows_and_exports(store: TraceStore, tmp_path: Path) -> None:
    store.append(ONE)
    store.append(NONE.model_copy(update={"prompt": "evil \x1b[31m", "right": False, "reason": "no answer"}))
    listed = CliRunner().invoke(trace, ["show", str(store.path)])
    assert [line.split()[:2] for line in listed.stdout.splitlines()] == [["1", "answered"], ["2", "wrong"]]
    assert "\x1b" not in listed.stdout
    whole = CliRunner().invoke(trace, ["show", str(store.path), "1"]).stdout
    assert "→ add(a=1)" in whole
    assert "(thinking) easy" in whole
    out = tmp_path / "out.jsonl"
    done = CliRunner().invoke(trace, ["export", str(store.path), "--to", "openai", "--out", str(out)])
    assert "1 of 2 trajectories exported" in done.stderr
    assert [list(json.loads(line)) for line in out.read_text().splitlines()] == [["messages", "tools"]]
    assert CliRunner().invoke(trace, ["export", str(store.path), "--to", "otel", "--right"]).stdout == ""


@pytest.mark.parametrize(
    "arguments", [["show", "none.jsonl"], ["show", "FILE", "7"], ["export", "none", "--to", "otel"]]
)
def test_what_is_not_there_is_named(arguments: list[str], store: TraceStore) -> None:
    store.append(ONE)
    done = CliRunner().invoke(trace, [str(store.path) if one == "FILE" else one for one in arguments])
    assert type(done.exception).__name__ == "NotFound"
