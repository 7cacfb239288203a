"""What models really wrote, from public threads: read as expected, or answered by a message one can act on."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from boxwright.models import ToolDefinition
from boxwright.models.wire import read_call
from boxwright_student.calls import Fault, Reading, read_calls

CORPUS = [
    json.loads(line)
    for line in (Path(__file__).parent / "malformed" / "calls.jsonl").read_text(encoding="utf-8").splitlines()
]


def read(row: dict[str, Any]) -> Reading:
    native = [read_call("c", row["native"]["name"], row["native"]["arguments"])] if "native" in row else []
    return read_calls(row.get("text", ""), native, tools(row))


def tools(row: dict[str, Any]) -> list[ToolDefinition]:
    return [ToolDefinition(name=name, description="", parameters=schema) for name, schema in row["tools"].items()]


def filled(skeleton: str) -> Any:
    """Fill a skeleton's places as a model would that knows types only."""
    skeleton = re.sub(r'"<string[^>]*>"', '"text"', skeleton)
    skeleton = re.sub(r'"<([^|>]*) \|[^>]*>"', r'"\1"', skeleton)
    skeleton = re.sub(r"<(?:integer|number) from (-?[\d.]+) [^>]*>", r"\1", skeleton)
    skeleton = re.sub(r"<(?:integer|number)>|<any value>", "1", skeleton)
    skeleton = skeleton.replace("<boolean>", "true")
    return json.loads(skeleton)


@pytest.mark.parametrize(
    "row", CORPUS, ids=[f"{row['source'].split('/')[-3]}-{row['source'].split('/')[-1]}" for row in CORPUS]
)
def test_what_a_model_wrote_is_read_or_answered(row: dict[str, Any]) -> None:
    reading = read(row)
    if row["expect"] == "message":
        assert reading.calls == ()
        assert_actionable(reading.faults[0], tools(row))
    elif row["expect"] == "no call":
        assert (reading.calls, reading.faults) == ((), ())
    else:
        assert [{"name": call.name, "arguments": call.arguments} for call in reading.calls] == row["expect"]
        assert reading.faults == ()


def assert_actionable(fault: Fault, known: list[ToolDefinition]) -> None:
    """It names the tool, or lists them all; its skeleton, filled in by type, fits the schema."""
    named = {tool.name: tool for tool in known}
    if not fault.name:
        assert all(name in fault.message for name in named)
    shown = re.search(r'\{"name": "([^"]*)", "arguments": .*\}$', fault.message)
    assert shown
    if shown.group(1) in named:
        call = filled(shown.group())
        assert Draft202012Validator(named[call["name"]].parameters).is_valid(call["arguments"])
    else:
        assert not fault.name


def test_skeletons_fit_every_kind_of_schema() -> None:
    parameters = {
        "type": "object",
        "properties": {
            "s": {"type": "string"},
            "n": {"type": "integer", "minimum": 3, "maximum": 5},
            "x": {"type": "number"},
            "b": {"type": "boolean"},
            "e": {"enum": ["one", "two"]},
            "c": {"const": 7},
            "l": {"type": "array", "items": {"$ref": "#/$defs/point"}, "minItems": 2},
            "u": {"anyOf": [{"type": "null"}, {"type": "integer"}]},
            "a": {},
        },
        "required": ["s", "n", "x", "b", "e", "c", "l", "u", "a"],
        "$defs": {"point": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}},
    }
    tool = ToolDefinition(name="f", description="", parameters=parameters)
    fault = read_calls('<tool_call>{"name": "f", "arguments": {}}</tool_call>', [], [tool]).faults[0]
    assert all(f"'{name}' is missing" in fault.message for name in parameters["required"])
    assert_actionable(fault, [tool])


def test_sources_are_threads_and_every_row_is_whole() -> None:
    assert len(CORPUS) >= 75
    for row in CORPUS:
        assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+", row["source"])
        assert ("text" in row) != ("native" in row)
        assert row["model"] and row["tools"] and row["expect"]


def test_gold_calls_come_back_from_every_form_and_no_wrong_one_is_accepted(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    call_repair = importlib.import_module("call_repair")
    questions, left_out = call_repair.load(shared_data / "bfcl")
    assert (len(questions), left_out) == (399, 1)
    for group, name, texts in call_repair.rows(questions[::8]):
        tally = call_repair.Tally()
        for text, question, gold in texts:
            tally.add(call_repair.ours, text, question.tools, gold, either=group == call_repair.EITHER)
        assert tally.questions > 10, name
        assert tally.wrong == 0, name
        assert tally.right >= tally.questions * (0.95 if group == "damaged" else 0.995), name
