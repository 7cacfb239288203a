"""Tools as Python signatures: every schema has one, it is Python, and arguments fit it as they fit a function."""

import ast
import keyword
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.models import ToolDefinition
from boxwright_student.code import ToolSignature, code_signature, python_names
from boxwright_student.code.signatures import python_type
from support.code_tools import tool

POINT = {"type": "object", "properties": {"x": {"type": "number"}, "label": {"type": "string"}}, "required": ["x"]}


@pytest.mark.parametrize(
    ("schema", "typed"),
    [
        ({"type": "integer"}, "int"),
        ({"type": ["string", "null"]}, "str | None"),
        ({"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "number"}}]}, "list[float] | None"),
        ({"enum": ["a", 1, None]}, "Literal['a', 1, None]"),
        ({"const": True}, "Literal[True]"),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, "dict[str, bool]"),
        ({"type": "object"}, "dict"),
        ({"type": "array"}, "list[Any]"),
        (POINT, "{'x': float, 'label': str (optional)}"),
        ({"$ref": "#/$defs/Point"}, "{'x': float, 'label': str (optional)}"),
        ({"type": "array", "items": {"$ref": "#/$defs/Point"}}, "list[{'x': float, 'label': str (optional)}]"),
        ({"$ref": "#/$defs/Self"}, "Any"),
        ({"$ref": "#/nowhere"}, "Any"),
        ({}, "Any"),
        (True, "Any"),
    ],
)
def test_a_schema_is_a_type(schema: Any, typed: str) -> None:
    assert python_type(schema, {"$defs": {"Point": POINT, "Self": {"$ref": "#/$defs/Self"}}}) == typed


def test_a_recursive_type_ends() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}}
    assert "Any" in python_type({"$ref": "#/$defs/Tree"}, {"$defs": {"Tree": tree}})


def test_a_signature_has_types_defaults_descriptions_and_bounds() -> None:
    definition = ToolDefinition(
        name="solve",
        description='Make the target.\n\nUse it for """24""".',
        parameters={
            "type": "object",
            "properties": {
                "target": {"type": "integer", "default": 24, "description": "The number\nto reach.", "minimum": 1},
                "numbers": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 6},
                "note": {"type": "string"},
            },
            "required": ["numbers"],
        },
        output_schema={"type": "string"},
    )
    assert code_signature(definition) == (
        "def solve(numbers: list[int], target: int = 24, note: str = None) -> str:\n"
        '    """Make the target.\n\n'
        "    Use it for '''24'''.\n\n"
        "    Args:\n"
        "        numbers: (at least 2 items, at most 6 items)\n"
        "        target: The number to reach. (at least 1)\n"
        '    """'
    )


def test_names_that_are_not_python_get_a_safe_one_and_it_is_told() -> None:
    names = python_names(
        ["get-weather", "a.b", "get_weather", "class", "print", "final_answer", "2x", "é", "game_of_24__solve"]
    )
    assert list(names.values()) == [
        *("get_weather_2", "a_b", "get_weather", "class_", "print_", "final_answer_", "_2x", "é", "game_of_24__solve")
    ]
    text = code_signature(tool("get-weather", None, **{"the-city": {"type": "string"}, "class": {"type": "string"}}))
    assert text.startswith("def get_weather(the_city: str, class_: str) -> Any:")
    assert "(the tool 'get-weather')" in text
    assert "the_city: (the parameter 'the-city')" in text


def test_a_tool_that_takes_any_arguments_is_given_any() -> None:
    for parameters in ({"type": "object"}, {"type": "object", "properties": {}, "additionalProperties": True}):
        signature = ToolSignature(ToolDefinition(name="f", description="", parameters=parameters), "f")
        assert signature.line() == "def f(**more) -> Any"
        assert signature.arguments((), {"x": 1}) == {"x": 1}
    none = ToolSignature(ToolDefinition(name="f", description="", parameters={"type": "object", "properties": {}}), "f")
    assert none.line() == "def f() -> Any"
    with pytest.raises(TypeError, match="unexpected keyword argument 'x'; the signature is f()"):
        none.arguments((), {"x": 1})


def test_none_for_an_optional_parameter_is_left_out_unless_it_is_a_value() -> None:
    nullable = {"type": ["integer", "null"], "default": 3}
    signature = ToolSignature(tool("f", None, a={"type": "integer", "default": 1}, b=nullable), "f")
    assert signature.arguments((None, None), {}) == {"b": None}


SIMPLE = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])
SCHEMAS = st.recursive(
    st.fixed_dictionaries({"type": SIMPLE})
    | st.just({})
    | st.fixed_dictionaries({"enum": st.lists(st.text(max_size=4), min_size=1)}),
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner})
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": inner})
    ),
    max_leaves=4,
)


@given(
    name=st.text(min_size=1, max_size=12),
    description=st.text(max_size=40),
    properties=st.dictionaries(st.text(min_size=1, max_size=8), SCHEMAS, max_size=4),
)
def test_every_tool_has_a_signature_that_is_python(name: str, description: str, properties: dict[str, Any]) -> None:
    parameters = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    definition = ToolDefinition(name=name, description=description.replace("\0", ""), parameters=parameters)
    function = ast.parse(code_signature(definition)).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert len(function.args.args) == len(properties)
    assert function.name not in keyword.kwlist


@given(st.lists(st.text(max_size=6), unique=True, max_size=8))
def test_python_names_are_names_and_distinct(names: list[str]) -> None:
    given_names = python_names(names)
    assert list(given_names) == names
    assert len(set(given_names.values())) == len(names)
    assert all(one.isidentifier() and not keyword.iskeyword(one) for one in given_names.values())
