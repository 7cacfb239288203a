"""Reading tool calls: the forms, the damage, and what is never guessed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from boxwright.models import ToolCall, ToolDefinition
from boxwright.models.wire import read_call
from boxwright_student.calls import Reading, read_calls, tells_of_fault


def tool(name: str, required: list[str], properties: dict[str, Any], **more: Any) -> ToolDefinition:
    schema = {"type": "object", "properties": properties, "required": required, **more}
    return ToolDefinition(name=name, description="", parameters=schema)


ADD = tool(
    "add_numbers",
    ["a", "b"],
    {"a": {"type": "integer"}, "b": {"type": "integer"}, "note": {"type": "string"}},
    additionalProperties=False,
)
WEATHER = tool(
    "weather",
    ["city"],
    {
        "city": {"type": "string"},
        "unit": {"enum": ["celsius", "fahrenheit"]},
        "days": {"type": "array", "items": {"type": "integer"}},
        "detail": {"type": "boolean"},
        "place": {"type": "object", "properties": {"lat": {"type": "number"}}},
        "max_results": {"type": "integer", "minimum": 1, "maximum": 10},
    },
)
TOOLS = (ADD, WEATHER)


def read(text: str, *native: ToolCall, tools: tuple[ToolDefinition, ...] = TOOLS, finished: bool = False) -> Reading:
    return read_calls(text, native, tools, finished=finished)


def calls(reading: Reading) -> list[tuple[str, dict[str, Any]]]:
    return [(call.name, call.arguments) for call in reading.calls]


def arguments_of(arguments: str, name: str = "weather") -> Reading:
    """Read arguments that stand in otherwise sound markup."""
    return read(f'<tool_call>{{"name": "{name}", "arguments": {arguments}}}</tool_call>')


PARIS = [("weather", {"city": "Paris"})]


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>',
        '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}',
        '<|tool_call|>[{"arguments": {"city": "Paris"}, "name": "weather"}]',
        '<minimax:tool_call>\n<invoke name="weather">\n<parameter name="city">Paris</parameter>\n</invoke>\n</minimax:tool_call>',
        "<function=weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>",
        '<function=weather>{"city": "Paris"}</function>',
        '<function=weather{"city": "Paris"}</function>',
        '<|python_tag|>{"name": "weather", "parameters": {"city": "Paris"}}',
        '<|python_tag|>tool.call("weather", {"city": "Paris"})',
        '[TOOL_CALLS][{"name": "weather", "arguments": {"city": "Paris"}}]',
        '[TOOL_CALLS]weather[ARGS]{"city": "Paris"}',
        '[TOOL_REQUEST]{"name": "weather", "arguments": {"city": "Paris"}}[END_TOOL_REQUEST]',
        '```json\n{"name": "weather", "arguments": {"city": "Paris"}}\n```',
        '```tool_call\n{"name": "weather", "arguments": {"city": "Paris"}}\n```',
        '```python\nresult = weather(city="Paris")\n```',
        '```tool_code\nprint(weather(city="Paris"))\n```',
        "[weather(city='Paris')]",
        '{"function": {"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}}',
        '{"tool": "weather", "tool_input": {"city": "Paris"}}',
        '{"action": "weather", "action_input": {"city": "Paris"}}',
        '{"weather": {"city": "Paris"}}',
        '{"tool_calls": [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": {"city": "Paris"}}}]}',
        'Action: weather\nAction Input: {"city": "Paris"}\nObservation: it rains',
        "Action: weather\nAction Input: Paris",
        '<|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>{"city": "Paris"}<|tool_call_end|>',
        '<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"city": "Paris"}<|call|>',
        "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>",
        '<|tool_call>call:weather{city:<|"|>Paris<|"|>}<tool_call|>',
        '<think>\nI need it.\n<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>',
    ],
)
def test_every_form_gives_the_same_call(text: str) -> None:
    reading = read(text)
    assert (calls(reading), reading.faults, reading.text) == (PARIS, (), "")


def test_text_around_a_call_is_left_for_the_user_and_a_made_up_result_is_not() -> None:
    reading = read(
        'Let me look.\n<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>\nOne moment.'
    )
    assert (calls(reading), reading.text) == (PARIS, "Let me look.\n\nOne moment.")
    reading = read(
        'Thought: hm\nAction: weather\nAction Input: {"city": "Paris"}\nObservation: sunny\nFinal Answer: sun'
    )
    assert (calls(reading), reading.text) == (PARIS, "Thought: hm")
    reading = read('Here it is:\n```json\n{"name": "weather", "arguments": {"city": "Paris"}}\n```\nDone.')
    assert (calls(reading), reading.text) == (PARIS, "Here it is:\n\nDone.")


@pytest.mark.parametrize(
    "text",
    [
        'You could write `{"name": "weather", "arguments": {"city": "Paris"}}` here.',
        '{"name": "Bingo", "arguments": {"age": 30}}',
        '{"city": "Paris"}',
        "def weather(city):\n    return city",
        "weather(city) gives the weather.",
        "weather(city=home)",
        'The schema: {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {}}}',
        "I would use <tool_call> tags for that.",
    ],
)
def test_what_only_speaks_of_a_call_is_text(text: str) -> None:
    reading = read(text)
    assert (reading.calls, reading.faults, reading.text) == ((), (), text)


@pytest.mark.parametrize(
    ("text", "said", "thought"),
    [
        ("<think>a</think>b", "b", "a"),
        ("a</think>b", "b", "a"),
        ("<thinking>a", "", "a"),
        ("x <think>a <think> b</think> y", "x  y", "a <think> b"),
        ("[THINK]a[/THINK]b", "b", "a"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>", "b", "a"),
        ("<think>a</think>b</think>c", "bc", "a"),
    ],
)
def test_thinking_is_taken_out_closed_or_not(text: str, said: str, thought: str) -> None:
    reading = read(text)
    assert (reading.text, reading.thinking) == (said, thought)


def test_a_call_in_the_thinking_counts_only_where_nothing_is_said_and_only_alone() -> None:
    draft = '<tool_call>{"name": "weather", "arguments": {"city": "Rome"}}</tool_call>'
    real = '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>'
    assert calls(read(f"<think>{draft}</think>{real}")) == PARIS
    assert calls(read(f"<think>{real}</think>")) == PARIS
    answered = read(f"<think>{draft} No need.</think>It rains.")
    assert (answered.calls, answered.text) == ((), "It rains.")
    undecided = read(f"<think>{draft} or {real}")
    assert (undecided.calls, len(undecided.faults)) == ((), 1)
    assert tells_of_fault(undecided.faults[0].message)


def test_think_tags_within_a_calls_strings_belong_to_the_call() -> None:
    text = '<tool_call>{"name": "weather", "arguments": {"city": "<think>x</think>"}}</tool_call>'
    assert calls(read(text)) == [("weather", {"city": "<think>x</think>"})]
    text = "<function=weather>\n<parameter=city>\n</think> <think>\n</parameter>\n</function>"
    assert calls(read(text)) == [("weather", {"city": "</think> <think>"})]


@pytest.mark.parametrize(
    "arguments",
    [
        '{"city": "Paris", "days": [1, 2],}',
        "{'city': 'Paris', 'days': (1, 2)}",
        '{city: "Paris", days: [1, 2]}',
        '{"city": "Paris", // the capital\n "days": [1, 2]}',
        "{“city”: “Paris”, “days”: [1, 2]}",
        '{{"city": "Paris", "days": [1, 2]}}',
        '{"city": "Paris" "days": [1, 2]}',
        '{"city": "Paris", "days": [1, 2}',
        '{"city": "Paris", "days": "[1, 2]"}',
        '"{"city": "Paris", "days": [1, 2]}"',
        '{"arguments": {"city": "Paris", "days": [1, 2]}}',
        '{"input": {"city": "Paris"}, "days": [1, 2]}',
        '{"type": "object", "properties": {"city": "Paris", "days": [1, 2]}}',
        '{"name": "weather", "arguments": {"city": "Paris", "days": [1, 2]}}',
        '{"City": "Paris", "dayz": ["1", 2.0]}',
        '{"city": "Paris", "days": [1, 2], "unit": null}',
        '{"city": "Paris", \\n "days": [1, 2]}',
    ],
)
def test_damage_with_one_reading_is_mended_and_told(arguments: str) -> None:
    reading = arguments_of(arguments)
    assert calls(reading) == [("weather", {"city": "Paris", "days": [1, 2]})], reading.faults
    assert reading.repairs


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"city": 5}', {"city": "5"}),
        ('{"city": 1.10}', {"city": "1.10"}),
        ('{"city": "x", "days": 3}', {"city": "x", "days": [3]}),
        ('{"city": "x", "detail": "True"}', {"city": "x", "detail": True}),
        ('{"city": "x", "detail": True}', {"city": "x", "detail": True}),
        ('{"city": "x", "unit": "Celsius"}', {"city": "x", "unit": "celsius"}),
        ('{"city": "x", "unit": celsius}', {"city": "x", "unit": "celsius"}),
        ('{"city": "x", "place": "{\\"lat\\": \\"1.5\\"}"}', {"city": "x", "place": {"lat": 1.5}}),
        ('{"city": "x", "maxResults": "5"}', {"city": "x", "max_results": 5}),
        ('{"city": "x", "days": ["1,000,000"]}', {"city": "x", "days": [1000000]}),
        ('{"city": "he said "hi" to me"}', {"city": 'he said "hi" to me'}),
        ('{"city": "two\nlines"}', {"city": "two\nlines"}),
        ('{"city": "C:\\data\\Ärger"}', {"city": "C:\\data\\Ärger"}),
        ("{'city': 'it's here'}", {"city": "it's here"}),
    ],
)
def test_values_become_what_the_schema_wants(arguments: str, expected: dict[str, Any]) -> None:
    reading = arguments_of(arguments)
    assert calls(reading) == [("weather", expected)], reading.faults
    assert reading.repairs


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"city": "x", "days": ["5 km"]}', "days[0]"),
        ('{"city": "x", "days": ["1,000"]}', "days[0]"),
        ('{"city": "x", "days": "1, 2"}', "days"),
        ('{"city": "x", "detail": "yes"}', "detail"),
        ('{"city": "x", "detail": 1}', "detail"),
        ('{"city": "x", "unit": "C"}', "unit"),
        ('{"city": "x", "unit": kelvin}', "unit"),
        ('{"city": home}', "city"),
        ('{"city": null}', "city"),
        ('{"city": ["x"]}', "city"),
        ('{"town": "x"}', "'city' is missing"),
        ('{"city": "x", "max_results": 11}', "max_results"),
        ('{"city": "x", "results": 3}', "max_results"),
        ('{"city": "x", "city": "y"}', "given twice"),
        ('{"city": "x, "unit": "celsius"}', "quote"),
        ('{"city": "x}', "not closed"),
        ('{"city": "C:\\data\\new"}', "backslash"),
        ('{"city": "x", "days": [NaN]}', "days[0]"),
        ('"x"', "object"),
        ("[1]", "object"),
        ('{"city": 1e999}', "out of range"),
        ('{"city": "x""}', "quote is missing"),
        ('{"city": ""x"}', "quote is missing"),
        ('{"city": "x", "unit" "celsius"}', "quote"),
        ('{"city": "x" "unit" "celsius"}', "quote"),
        ('{"city": "x"}, "unit": "celsius"}', "beside"),
        ('{"city": "x", "days": [1]], "unit": "celsius"}', "closed too early"),
        ('{"city": "x", ]unit": "celsius"}', "bracket"),
    ],
)
def test_what_has_two_readings_or_none_is_answered_by_a_message(arguments: str, told: str) -> None:
    reading = arguments_of(arguments)
    assert reading.calls == ()
    assert len(reading.faults) == 1
    fault = reading.faults[0]
    assert fault.name == "weather"
    assert told in fault.message, fault.message
    assert '{"name": "weather", "arguments": {"city": ' in fault.message
    assert tells_of_fault(fault.message)


def test_the_message_keeps_what_was_right_and_shows_what_to_fill_in() -> None:
    message = arguments_of('{"a": "five", "note": "keep"}', "add_numbers").faults[0].message
    assert message.splitlines() == [
        "The call of 'add_numbers' was not made.",
        "- 'a' must be a whole number, got \"five\"",
        "- 'b' is missing: a whole number, required",
        'Write it again, with the <…> filled in: {"name": "add_numbers", "arguments": '
        '{"note": "keep", "a": <integer>, "b": <integer>}}',
    ]


@pytest.mark.parametrize(
    "name", ["Add_Numbers", "addNumbers", "add-numbers", "functions.add_numbers", "add_number", "add_numbres"]
)
def test_a_name_that_can_only_mean_one_tool_is_read_as_it(name: str) -> None:
    reading = arguments_of('{"a": 1, "b": 2}', name)
    assert calls(reading) == [("add_numbers", {"a": 1, "b": 2})]
    assert reading.repairs == (f"{name!r} read as 'add_numbers'",)


def test_a_namespace_may_be_lost_or_doubled_where_that_leaves_one_tool() -> None:
    boxed = tuple(tool(name, [], {}) for name in ("maths__add", "text__add", "maths__sub"))
    for name, meant in {
        "sub": "maths__sub",
        "maths.sub": "maths__sub",
        "mcp__maths__sub": "maths__sub",
        "maths__maths__add": "maths__add",
        "add": None,
        "other__sub": None,
    }.items():
        reading = read(f'<tool_call>{{"name": "{name}", "arguments": {{}}}}</tool_call>', tools=boxed)
        assert [call.name for call in reading.calls] == ([meant] if meant else [])
        assert bool(reading.faults) == (meant is None)


@pytest.mark.parametrize(
    ("written", "known"),
    [("get_user", "set_user"), ("tool_1", "tool_2"), ("import_file", "export_file"), ("lock_it", "block_it")],
)
def test_a_letter_that_makes_another_word_is_no_typo(written: str, known: str) -> None:
    reading = read(f'<tool_call>{{"name": "{written}", "arguments": {{}}}}</tool_call>', tools=(tool(known, [], {}),))
    assert reading.calls == ()
    assert "there is no tool" in reading.faults[0].message and known in reading.faults[0].message


def test_extra_arguments_go_only_where_the_schema_forbids_them_and_nothing_else_was_meant() -> None:
    reading = arguments_of('{"a": 1, "b": 2, "verbose": true}', "add_numbers")
    assert calls(reading) == [("add_numbers", {"a": 1, "b": 2})]
    assert reading.repairs == ("add_numbers: 'verbose' left out: there is no such argument",)
    assert calls(arguments_of('{"city": "x", "verbose": true}')) == [("weather", {"city": "x", "verbose": True})]
    assert "did you mean 'note'?" in arguments_of('{"a": 1, "b": 2, "my_note": "x"}', "add_numbers").faults[0].message


def test_arguments_put_beside_the_arguments_are_not_lost() -> None:
    reading = read('<tool_call>{"name": "weather", "arguments": {"city": "x"}, "unit": "celsius"}</tool_call>')
    assert reading.calls == ()
    assert "'unit' stands beside the arguments" in reading.faults[0].message


def test_markup_around_broken_json_is_no_text() -> None:
    for body in ('{]name": "weather", "arguments": {}}', ':"name": "weather"}', "{}"):
        reading = read(f"<tool_call>\n{body}\n</tool_call>")
        assert (reading.calls, len(reading.faults), reading.text) == ((), 1, ""), body
    reading = read('<tool_call>\n"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>')
    assert (calls(reading), reading.repairs) == (PARIS, ("weather: an opening bracket added",))


def test_a_bracket_lost_inside_does_not_move_arguments_inwards() -> None:
    reading = arguments_of('{"city": "x", "place": {"lat": 1.5, "max_results": 3}')
    assert reading.calls == ()
    assert "'place' may hold max_results" in reading.faults[0].message
    assert calls(arguments_of('{"max_results": 3, "city": "x", "place": {"lat": 1.5}')) == [
        ("weather", {"max_results": 3, "city": "x", "place": {"lat": 1.5}})
    ]


def test_a_default_fills_what_is_required_and_missing() -> None:
    defaulted = tool("f", ["n"], {"n": {"type": "integer", "default": 3}})
    reading = read('<tool_call>{"name": "f", "arguments": {}}</tool_call>', tools=(defaulted,))
    assert calls(reading) == [("f", {"n": 3})]
    assert reading.repairs == ("f: 'n' set to its default",)


def test_a_union_takes_the_one_branch_that_fits() -> None:
    union = tool(
        "f", [], {"x": {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "y": {"type": ["integer", "string"]}}
    )
    for written, expected in {'{"x": "5"}': {"x": 5}, '{"x": null}': {"x": None}, '{"y": "5"}': {"y": "5"}}.items():
        reading = read(f'<tool_call>{{"name": "f", "arguments": {written}}}</tool_call>', tools=(union,))
        assert calls(reading) == [("f", expected)]
    tagged = read("<function=f>\n<parameter=y>\n5\n</parameter>\n</function>", tools=(union,))
    assert tagged.calls == ()
    assert 'may be read as 5 or as "5"' in tagged.faults[0].message


def test_strings_stay_exactly_as_written() -> None:
    for value in (" x ", "5", "true", '{"a": 1}', "a\n\n", "<b>", "```", "é😀"):
        assert calls(arguments_of(json.dumps({"city": value}))) == [("weather", {"city": value})]
        tagged = f"<tool_call>\n<function=weather>\n<parameter=city>\n{value}\n</parameter>\n</function>\n</tool_call>"
        assert calls(read(tagged)) == [("weather", {"city": value})]


def test_a_cut_call_is_a_fault_unless_the_model_ended_by_itself() -> None:
    text = '<tool_call>{"name": "weather", "arguments": {"city": "Paris"'
    assert read(text).calls == ()
    assert "breaks off" in read(text).faults[0].message
    assert calls(read(text, finished=True)) == PARIS
    assert calls(read(text + "\n</tool_call>")) == PARIS
    assert calls(read(text + "}")) == PARIS


def test_native_calls_are_fitted_and_unreadable_ones_mended_under_their_own_ids() -> None:
    reading = read(
        "",
        read_call("c1", "weather", "{'city': 'Paris',}"),
        ToolCall(id="c2", name="add_numbers", arguments={"a": "1", "b": 2}),
        read_call("c3", "weather", '{"city": "Par'),
        ToolCall(id="c4", name="weather", arguments={"city": 1.5}),
    )
    assert [(call.id, call.arguments) for call in reading.calls] == [
        ("c1", {"city": "Paris"}),
        ("c2", {"a": 1, "b": 2}),
    ]
    assert [(fault.id, fault.name) for fault in reading.faults] == [("c3", "weather"), ("c4", "weather")]


def test_a_call_that_the_server_read_and_left_in_the_text_counts_once() -> None:
    text = '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>'
    reading = read(text, ToolCall(id="c1", name="weather", arguments={"city": "Paris"}))
    assert ([call.id for call in reading.calls], reading.text) == (["c1"], "")
    assert len(read(text + text).calls) == 2


def test_an_answer_of_too_many_calls_is_a_fault() -> None:
    text = '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>'
    reading = read(text * 65)
    assert (len(reading.calls), len(reading.faults)) == (0, 1)
    assert "at most 64" in reading.faults[0].message


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "dict"},
        {"type": "object", "properties": {"x": {"$ref": "#/$defs/none"}}},
        {"type": "object", "properties": {"x": {"$ref": "https://example.invalid/x.json"}}},
        {"properties": {"x": {"$ref": "#/properties/x"}}},
        {"$defs": {"t": {"anyOf": [{"$ref": "#/$defs/t"}]}}, "properties": {"x": {"$ref": "#/$defs/t"}}},
        {"type": "object", "properties": {"x": {"pattern": "("}}},
    ],
)
def test_a_schema_that_is_none_raises_nothing(schema: dict[str, Any]) -> None:
    broken = ToolDefinition(name="f", description="", parameters=schema)
    for value in ("1", '"a"', "{}", "[[]]"):
        reading = read(f'<tool_call>{{"name": "f", "arguments": {{"x": {value}}}}}</tool_call>', tools=(broken,))
        assert len(reading.calls) + len(reading.faults) == 1
