"""Properties of reading calls: nothing raises, what is sound comes back as it was, and the work stays linear."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from boxwright.models import Message, ToolCall, ToolDefinition
from boxwright_student.calls import call_schema, prompted, read_calls, tool_instructions
from boxwright_student.calls.literals import read_literal
from boxwright_student.calls.values import Unreadable, Work

SEVERAL = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TOOL = ToolDefinition(
    name="add",
    description="",
    parameters={"type": "object", "properties": {"a": {"type": "integer"}, "s": {"type": "string"}}, "required": ["a"]},
)
PIECES = (
    *"{}[]()\"'`:,\\/<>=|\n ",
    *(
        "<tool_call>",
        "</tool_call>",
        "<think>",
        "</think>",
        '{"name": "add", "arguments": ',
        '{"a": ',
        "add(",
        "a=",
        "s=",
    ),
    *(
        "<function=add>",
        "<parameter=a>",
        "</parameter>",
        "</function>",
        "[TOOL_CALLS]",
        "```json\n",
        "```",
        "Action: add\n",
    ),
    *(
        "Action Input: ",
        "<arg_key>",
        "</arg_key><arg_value>",
        "<|python_tag|>",
        '<|"|>',
        "5",
        "-1.5e3",
        "true",
        "None",
        "x",
    ),
    *(
        '\\"',
        "\\u00e9",
        "“",
        "’",
        "/*",
        "//",
        "<|channel|>commentary to=functions.add<|message|>",
        "<｜tool▁sep｜>",
        "add{",
    ),
)


@SEVERAL
@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=25).map("".join)))
def test_reading_never_raises_and_gives_only_sound_calls(text: str) -> None:
    for finished in (False, True):
        reading = read_calls(text, [], [TOOL], finished=finished)
        for call in reading.calls:
            assert call.name == "add" and type(call.arguments["a"]) is int
            json.dumps(call.arguments, allow_nan=False).encode()
    native = ToolCall(id="x", name="add", arguments={}, fault="unreadable", raw=text)
    assert len(read_calls("", [native], [TOOL]).calls) <= 1


# Texts without the marks of the forms that have no escapes: these could not be written in them at all.
plain_text = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
kinds: dict[str, tuple[dict[str, Any], st.SearchStrategy[Any]]] = {
    "integer": ({"type": "integer"}, st.integers()),
    "number": ({"type": "number"}, st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0)),
    "string": ({"type": "string"}, plain_text),
    "boolean": ({"type": "boolean"}, st.booleans()),
    "list": ({"type": "array", "items": {"type": "string"}}, st.lists(plain_text, max_size=3)),
    "object": (
        {"type": "object", "properties": {"k": {"type": "integer"}}, "required": ["k"]},
        st.fixed_dictionaries({"k": st.integers()}),
    ),
    "enum": ({"enum": ["one", "two", 3]}, st.sampled_from(["one", "two", 3])),
}


@st.composite
def tools_and_calls(draw: st.DrawFn) -> tuple[ToolDefinition, dict[str, Any]]:
    names = draw(
        st.lists(st.from_regex(r"[a-z]{1,5}_?[a-z0-9]{1,4}", fullmatch=True), min_size=1, max_size=4, unique=True)
    )
    chosen = {name: draw(st.sampled_from(sorted(kinds))) for name in names}
    schema = {
        "type": "object",
        "properties": {name: kinds[kind][0] for name, kind in chosen.items()},
        "required": names,
        "additionalProperties": False,
    }
    arguments = {name: draw(kinds[kind][1]) for name, kind in chosen.items()}
    return ToolDefinition(name="box__tool", description="", parameters=schema), arguments


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _tagged(arguments: dict[str, Any]) -> str:
    inner = "".join(f"<parameter={key}>\n{_text(value)}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function=box__tool>\n{inner}</function>\n</tool_call>"


def _call(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"name": "box__tool", "arguments": arguments}


FORMS = {
    "tool_call": lambda held: f"<tool_call>\n{json.dumps(_call(held), ensure_ascii=False)}\n</tool_call>",
    "tool_call, ASCII": lambda held: f"<tool_call>{json.dumps(_call(held))}</tool_call>",
    "bare": lambda held: json.dumps(_call(held), indent=2),
    "fence": lambda held: f"Now:\n```json\n{json.dumps(_call(held))}\n```",
    "python_tag": lambda held: f"<|python_tag|>{json.dumps({'name': 'box__tool', 'parameters': held})}",
    "mistral": lambda held: f"[TOOL_CALLS][{json.dumps(_call(held))}]",
    "mistral 11": lambda held: f"[TOOL_CALLS]box__tool[ARGS]{json.dumps(held)}",
    "openai": lambda held: json.dumps({"function": {"name": "box__tool", "arguments": json.dumps(held)}}),
    "react": lambda held: f"Thought: hm\nAction: box__tool\nAction Input: {json.dumps(held)}\nObservation: x",
    "deepseek": lambda held: (
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>box__tool\n```json\n{json.dumps(held)}\n```<｜tool▁call▁end｜>"
    ),
    "python": lambda held: f"[box__tool({', '.join(f'{key}={value!r}' for key, value in held.items())})]",
    "xml": _tagged,
}


@pytest.mark.parametrize("form", FORMS)
@SEVERAL
@given(made=tools_and_calls())
def test_a_sound_call_comes_back_as_it_was_from_every_form(
    form: str, made: tuple[ToolDefinition, dict[str, Any]]
) -> None:
    tool, arguments = made
    text = FORMS[form](arguments)
    if form in ("xml", "python") and _unsayable(arguments, form):
        return
    reading = read_calls(text, [], [tool])
    assert [(call.name, call.arguments) for call in reading.calls] == [("box__tool", arguments)], reading.faults
    kinds_read = [type(value) for value in reading.calls[0].arguments.values()]
    assert kinds_read == [type(value) for value in arguments.values()]


def _unsayable(arguments: dict[str, Any], form: str) -> bool:
    """XML has no escapes for its own tags, and Python's \\x and \\U are no escapes of JSON."""
    text = json.dumps(arguments, ensure_ascii=False)
    return "<" in text if form == "xml" else any(not one.isprintable() for one in text) or "\\" in text


@SEVERAL
@given(made=tools_and_calls())
def test_the_schema_for_constrained_decoding_allows_exactly_the_calls(
    made: tuple[ToolDefinition, dict[str, Any]],
) -> None:
    tool, arguments = made
    validator = Draft202012Validator(call_schema([tool, TOOL]))
    assert validator.is_valid(_call(arguments))
    assert validator.is_valid({"name": "no_tool", "arguments": {"answer": "x"}})
    assert not validator.is_valid({"name": "add", "arguments": {}})
    assert not validator.is_valid({"name": "other", "arguments": arguments})


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "piece",
    [*(piece for piece in PIECES if len(piece) > 3), '{"name":"', "<tool_call>[[", "{", "<function=add><parameter=s>"],
)
def test_a_hundred_kilobytes_of_anything_end(piece: str) -> None:
    read_calls(piece * (100_000 // len(piece)), [], [TOOL])


@pytest.mark.parametrize("piece", ['{"a": ', '"a" b ', "{", "[", "a ", '["a", "b'])
def test_the_steps_of_a_literal_are_bounded_by_its_length(piece: str) -> None:
    spent = []
    for size in (1_000, 4_000):
        text = '{"k": "' + piece * (size // len(piece))
        work = Work(len(text))
        budget = work.left
        with pytest.raises(Unreadable):
            read_literal(text, 0, work)
        spent.append(budget - work.left)
    assert spent[1] <= 15 * 4_000 + 20_100
    assert spent[1] <= 6 * max(spent[0], 100)


def test_a_conversation_turns_into_plain_messages() -> None:
    conversation = [
        Message(role="system", content="Solve it."),
        Message(role="user", content="1 + 1"),
        Message(
            role="assistant",
            content="I add.",
            tool_calls=(
                ToolCall(id="a", name="add", arguments={"a": 1}),
                ToolCall(id="b", name="add", arguments={}, fault="no JSON", raw="{a"),
            ),
        ),
        Message(role="tool", content="1", tool_call_id="a", name="add"),
        Message(role="tool", content="Error: no JSON", tool_call_id="b", name="add"),
        Message(role="user", content="go on"),
    ]
    plain = prompted(conversation, [TOOL])
    assert [message.role for message in plain] == ["system", "user", "assistant", "user", "user"]
    assert plain[0].content == f"Solve it.\n\n{tool_instructions([TOOL])}"
    assert '{"type": "function", "function": {"name": "add"' in plain[0].content
    assert plain[2].content == (
        'I add.\n<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>\n<tool_call>\n{a\n</tool_call>'
    )
    assert plain[3].content == "<tool_response>\n1\n</tool_response>\n<tool_response>\nError: no JSON\n</tool_response>"
    assert all(not message.tool_calls and message.role != "tool" and not message.name for message in plain)
    assert prompted(conversation[1:2], [TOOL])[0].role == "system"
    assert prompted(conversation[:2], []) == conversation[:2]
    written = read_calls(plain[2].content, [], [TOOL])
    assert [call.arguments for call in written.calls] == [{"a": 1}]


def test_calling_no_tool_is_an_answer() -> None:
    reading = read_calls('{"name": "no_tool", "arguments": {"answer": "It is 2."}}', [], [TOOL])
    assert (reading.text, reading.calls, reading.faults) == ("It is 2.", (), ())


def test_a_schema_with_references_keeps_them_when_it_is_put_inside_another() -> None:
    parameters = {
        "type": "object",
        "properties": {"p": {"$ref": "#/$defs/point"}},
        "required": ["p"],
        "$defs": {"point": {"type": "object", "properties": {"next": {"$ref": "#/$defs/point"}}, "required": ["x"]}},
    }
    schema = call_schema([ToolDefinition(name="f/~g", description="", parameters=parameters)])
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"name": "f/~g", "arguments": {"p": {"x": 1, "next": {"x": 2}}}})
    assert not validator.is_valid({"name": "f/~g", "arguments": {"p": {"x": 1, "next": {}}}})
