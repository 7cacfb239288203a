"""What a version must say of what changed."""

from typing import Any

import pytest

from boxwright.box.interface import changes, covers, enough, step_between
from boxwright.box.release import ToolSpec

INT, NUMBER, TEXT = {"type": "integer"}, {"type": "number"}, {"type": "string"}


def tool(
    properties: dict[str, Any] | None = None,
    required: tuple[str, ...] = ("a",),
    output: dict[str, Any] | None = None,
    name: str = "t",
) -> ToolSpec:
    schema = {
        "type": "object",
        "properties": {"a": INT} if properties is None else properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return ToolSpec(name, "", schema, output or INT, {})


@pytest.mark.parametrize(
    ("new", "step"),
    [
        ([], "major"),
        ([tool(name="other")], "major"),
        ([tool(), tool(name="other")], "minor"),
        ([tool({})], "major"),
        ([tool({"a": INT, "b": INT})], "minor"),
        ([tool({"a": INT, "b": INT}, ("a", "b"))], "major"),
        ([tool({"a": NUMBER})], "minor"),
        ([tool({"a": TEXT})], "major"),
        ([tool(required=())], "minor"),
        ([tool(output=NUMBER)], "major"),
        ([tool(output={"type": "integer", "enum": [1, 2]})], "minor"),
        ([tool({"a": {"type": "integer", "default": 3}})], "minor"),
        ([tool({"a": {"type": "integer", "description": "another word"}})], None),
    ],
)
def test_each_change_needs_its_step(new: list[ToolSpec], step: str | None) -> None:
    found = changes([tool()], new)
    assert (found[0][0] if found else None) == step


def test_a_parameter_that_becomes_required_is_a_major_change() -> None:
    assert changes([tool(required=())], [tool()])[0] == ("major", "tool 't': parameter 'a' is now required")


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        (NUMBER, INT, True),
        (INT, NUMBER, False),
        ({"anyOf": [INT, TEXT]}, INT, True),
        (INT, {"anyOf": [INT, TEXT]}, False),
        ({"type": "string", "enum": ["a", "b"]}, {"type": "string", "enum": ["a"]}, True),
        ({"type": "string", "enum": ["a"]}, TEXT, False),
        (TEXT, {"type": "string", "enum": ["a"]}, True),
        ({"type": "array", "items": NUMBER}, {"type": "array", "items": INT}, True),
        ({"type": "array", "items": INT}, {"type": "array"}, False),
        ({"type": "object", "additionalProperties": NUMBER}, {"type": "object", "additionalProperties": INT}, True),
        ({"type": "object"}, {"type": "object", "additionalProperties": INT}, True),
    ],
)
def test_covers_says_whether_every_value_fits(wide: dict[str, Any], narrow: dict[str, Any], expected: bool) -> None:
    assert covers(wide, narrow) is expected


def test_every_schema_covers_itself() -> None:
    fields = {"x": INT, "y": {"anyOf": [TEXT, {"type": "null"}]}}
    whole = {"type": "object", "properties": fields, "required": ["x"], "additionalProperties": False}
    assert covers(whole, whole)


def test_steps_are_read_off_versions_and_ordered() -> None:
    assert [step_between("1.2.3", other) for other in ("2.0.0", "1.3.0", "1.2.4")] == ["major", "minor", "patch"]
    assert enough("major", "minor")
    assert not enough("patch", "minor")
