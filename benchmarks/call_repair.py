"""Reading tool calls: every form models write them in, and damaged in many ways, beside json.loads and json-repair.

    python benchmarks/call_repair.py FOLDER      # the folder with BFCL's questions and `possible_answer`

The calls are the gold calls of BFCL's simple, multiple and parallel questions: the first possible value of each
argument, without arguments whose first value is "" (BFCL's word for "may be left out"). BFCL's types (dict, float,
tuple, any) are mapped to JSON Schema's. A gold call that breaks its own schema is left out, and counted.

A question counts as right if all its calls come back equal, in order. A call is wrong if it was accepted and is no gold
call of the question: the worst that can happen, since nobody sees it. In the group "to be answered" something is
missing or has two readings, so that the only right answer is a message; in the group "random", where one of JSON's
marks was changed at random, a message is as right as the calls.

The peers are given the same text: `json.loads` of the text from the first bracket to the last, and json-repair of the
same (its default settings), both with `name` and `arguments` or `parameters` looked up in the result. json-repair is no
dependency; without it its columns stay empty. They check no schema, which a caller would still have to do.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from boxwright.jsontypes import same
from boxwright.models import ToolDefinition
from boxwright_student.calls import read_calls

Call = tuple[str, dict[str, Any]]
Form = Callable[[Sequence[Call]], str]
Reader = Callable[[str, Sequence[ToolDefinition]], tuple[list[Call], bool]]
FILES = ("simple_python", "multiple", "parallel")
TYPES = {"dict": "object", "float": "number", "tuple": "array", "double": "number", "long": "integer"}


@dataclass(frozen=True)
class Question:
    """Tools and the calls that are right."""

    tools: tuple[ToolDefinition, ...]
    calls: tuple[Call, ...]


def load(folder: Path) -> tuple[list[Question], int]:
    """Return the questions, and how many were left out because a gold call breaks its schema."""
    questions: list[Question] = []
    left_out = 0
    for name in FILES:
        asked = _lines(folder / f"BFCL_v4_{name}.jsonl")
        answers = {row["id"]: row for row in _lines(folder / "possible_answer" / f"BFCL_v4_{name}.jsonl")}
        for row in asked:
            tools = tuple(
                ToolDefinition(name=one["name"], description=one["description"], parameters=mapped(one["parameters"]))
                for one in row["function"]
            )
            schemas = {tool.name: tool.parameters for tool in tools}
            calls = tuple(
                (tool, _members(values)) for gold in answers[row["id"]]["ground_truth"] for tool, values in gold.items()
            )
            if all(Draft202012Validator(schemas[tool]).is_valid(arguments) for tool, arguments in calls):
                questions.append(Question(tools, calls))
            else:
                left_out += 1
    return questions, left_out


def mapped(schema: Any) -> Any:
    """Return a schema of BFCL's as JSON Schema."""
    if isinstance(schema, list):
        return [mapped(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: mapped(held) for key, held in schema.items()}
    kind = schema.get("type")
    if kind == "any":
        del out["type"]
    elif isinstance(kind, str):
        out["type"] = TYPES.get(kind, kind)
    return out


def _members(values: dict[str, list[Any]]) -> dict[str, Any]:
    return {key: _first(held[0]) for key, held in values.items() if held[0] != ""}


def _first(value: Any) -> Any:
    if isinstance(value, dict):
        return _members({key: held if isinstance(held, list) else [held] for key, held in value.items()})
    return [_first(one) for one in value] if isinstance(value, list) else value


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# The forms.


def _json(name: str, arguments: Any, key: str = "arguments") -> str:
    return json.dumps({"name": name, key: arguments}, ensure_ascii=False)


def _each(write: Callable[[str, dict[str, Any]], str], between: str = "\n") -> Form:
    return lambda calls: between.join(write(name, arguments) for name, arguments in calls)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _coder(name: str, arguments: dict[str, Any]) -> str:
    inner = "".join(f"<parameter={key}>\n{_text(value)}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function={name}>\n{inner}</function>\n</tool_call>"


def _glm(name: str, arguments: dict[str, Any]) -> str:
    inner = "".join(
        f"<arg_key>{key}</arg_key>\n<arg_value>{_text(value)}</arg_value>\n" for key, value in arguments.items()
    )
    return f"<tool_call>{name}\n{inner}</tool_call>"


def _invoke(name: str, arguments: dict[str, Any]) -> str:
    inner = "".join(f'<parameter name="{key}">{_text(value)}</parameter>\n' for key, value in arguments.items())
    return f'<function_calls>\n<invoke name="{name}">\n{inner}</invoke>\n</function_calls>'


def _python(name: str, arguments: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


def _openai(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"id": "x", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def _tagged(name: str, arguments: dict[str, Any]) -> str:
    return f"<tool_call>\n{_json(name, arguments)}\n</tool_call>"


def _deepseek(calls: Sequence[Call]) -> str:
    inner = "\n".join(
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{json.dumps(arguments)}\n```<｜tool▁call▁end｜>"
        for name, arguments in calls
    )
    return f"<｜tool▁calls▁begin｜>{inner}<｜tool▁calls▁end｜>"


def _kimi(calls: Sequence[Call]) -> str:
    inner = "".join(
        f"<|tool_call_begin|>functions.{name}:{at}<|tool_call_argument_begin|>{json.dumps(arguments)}<|tool_call_end|>"
        for at, (name, arguments) in enumerate(calls)
    )
    return f"<|tool_calls_section_begin|>{inner}<|tool_calls_section_end|>"


def _all_json(calls: Sequence[Call], key: str = "arguments") -> str:
    return json.dumps([{"name": name, key: arguments} for name, arguments in calls], ensure_ascii=False)


FORMS: dict[str, Form] = {
    "<tool_call> JSON": _each(_tagged),
    "<tool_call> JSON, several in one tag": lambda calls: f"<tool_call>\n{_each(_json)(calls)}\n</tool_call>",
    "<tool_call> JSON, not closed": _each(lambda name, held: f"<tool_call>\n{_json(name, held)}\n"),
    "thinking, then <tool_call>": lambda calls: f"<think>\nHm.\n</think>\n{_each(_tagged)(calls)}",
    "<tool_call> inside open thinking": lambda calls: f"<think>\nHm.\n{_each(_tagged)(calls[:1])}",
    "Qwen3-Coder XML": _each(_coder),
    "Qwen3-Coder XML without <tool_call>": _each(lambda *call: _coder(*call).removeprefix("<tool_call>\n")),
    "GLM arg_key XML": _each(_glm),
    "<invoke name=…> XML": _each(_invoke),
    "<function=name>{…}</function>": _each(
        lambda name, held: f"<function={name}>{json.dumps(held, ensure_ascii=False)}</function>"
    ),
    "<|python_tag|> JSON": _each(lambda name, held: f"<|python_tag|>{_json(name, held, 'parameters')}", "; "),
    "<|python_tag|> Python": lambda calls: f"<|python_tag|>{_each(_python)(calls)}",
    "Llama 3 JSON (parameters)": _each(lambda name, held: _json(name, held, "parameters"), "; "),
    "[TOOL_CALLS][…]": lambda calls: f"[TOOL_CALLS]{_all_json(calls)}",
    "[TOOL_CALLS]name[ARGS]{…}": _each(lambda name, held: f"[TOOL_CALLS]{name}[ARGS]{json.dumps(held)}", ""),
    "```json": lambda calls: f"I will call it.\n```json\n{_all_json(calls)}\n```\n",
    "```tool_call": _each(lambda name, held: f"```tool_call\n{_json(name, held)}\n```"),
    "```python": lambda calls: f"```python\n{_each(_python)(calls)}\n```",
    "```tool_code": lambda calls: f"```tool_code\n{_each(_python)(calls)}\n```",
    "bare JSON with prose around": lambda calls: f"Let me see.\n\n{_each(_json)(calls)}\n\nThat should do.",
    "bare JSON list": _all_json,
    "[f(a=1), g(b='x')]": lambda calls: f"[{_each(_python, ', ')(calls)}]",
    "OpenAI's tool_calls": lambda calls: json.dumps({"tool_calls": [_openai(*call) for call in calls]}),
    '{"tool", "tool_input"}': _each(lambda name, held: json.dumps({"tool": name, "tool_input": held})),
    "ReAct (first call)": lambda calls: f"Thought: hm\nAction: {calls[0][0]}\nAction Input: {json.dumps(calls[0][1])}",
    "DeepSeek tokens": _deepseek,
    "Kimi tokens": _kimi,
}
EITHER = "random"
FIRST_ONLY = {"<tool_call> inside open thinking", "ReAct (first call)"}
"""Forms that hold one call."""

# The damage. Each takes a question and returns the text and the calls that are right.

Damaged = tuple[str, tuple[Call, ...]]
Damage = Callable[[Question], Damaged]


def _tag(line: str) -> str:
    return f"<tool_call>\n{line}\n</tool_call>"


def _on_text(change: Callable[[str], str]) -> Damage:
    return lambda asked: ("\n".join(_tag(change(_json(*one))) for one in asked.calls), asked.calls)


def _on_call(change: Callable[[str, dict[str, Any]], str]) -> Damage:
    return lambda asked: ("\n".join(change(*one) for one in asked.calls), asked.calls)


def _outside_strings(text: str, pattern: str, replaced: str) -> str:
    parts = re.split(r'("(?:[^"\\]|\\.)*")', text)
    return "".join(part if at % 2 else re.sub(pattern, replaced, part) for at, part in enumerate(parts))


def _smart(text: str) -> str:
    return re.sub(r'"((?:[^"\\]|\\.)*)"', r"“\1”", text)


def _unquoted(text: str) -> str:
    return re.sub(r'"(\w+)":', r"\1:", text)


def _with_quotes(asked: Question) -> Damaged:
    """Put quotes and a line break into the strings that are free, and write them without escapes."""
    gold = tuple(
        (name, {key: _longer(asked, name, key, value) for key, value in held.items()}) for name, held in asked.calls
    )
    return "\n".join(_tag(_json(*one).replace('\\"', '"').replace("\\n", "\n")) for one in gold), gold


def _longer(asked: Question, name: str, key: str, value: Any) -> Any:
    schema = next(tool.parameters for tool in asked.tools if tool.name == name)["properties"][key]
    free = schema.get("type") == "string" and "enum" not in schema
    return f'{value} "so called"\nand so on' if free else value


def _as_strings(name: str, arguments: dict[str, Any]) -> str:
    return _tagged(name, {key: _text(held) for key, held in arguments.items()})


def _string_of_json(name: str, arguments: dict[str, Any]) -> str:
    return _tag(f'{{"name": "{name}", "arguments": "{json.dumps(arguments, ensure_ascii=False)}"}}')


def _misspelt(name: str, arguments: dict[str, Any]) -> str:
    return _tagged(_other_case(name), {_other_case(key): value for key, value in arguments.items()})


def _other_case(name: str) -> str:
    return "".join(part.capitalize() if at else part for at, part in enumerate(name.split("_")))


def _typo(name: str, arguments: dict[str, Any]) -> str:
    """Swap two letters in the middle of the tool's longest word."""
    word = max(re.findall(r"[A-Za-z]+", name), key=len)
    at = name.index(word) + len(word) // 2
    return _tagged(name[:at] + name[at + 1] + name[at] + name[at + 2 :] if len(word) > 4 else name, arguments)


DAMAGE: dict[str, Damage] = {
    "trailing commas": _on_text(lambda text: _outside_strings(text, r"(?<=[^\[{])([}\]])", r",\1")),
    "Python quotes, True, None": _on_call(lambda name, held: _tag(repr({"name": name, "arguments": held}))),
    "names without quotes": _on_text(_unquoted),
    "comments": _on_text(lambda text: _outside_strings(text, r",", ", // next\n")),
    "typographic quotes": _on_text(_smart),
    "quotes, line breaks unescaped": _with_quotes,
    "doubled brackets": _on_text(lambda text: _outside_strings(_outside_strings(text, r"\{", "{{"), r"\}", "}}")),
    "all quotes escaped": _on_text(lambda text: text.replace("\\", "\\\\").replace('"', '\\"')),
    "last bracket and tag lost": _on_call(lambda *call: f"<tool_call>\n{_json(*call)[:-1]}"),
    "fence open, bracket too many": _on_call(lambda *call: f"```json\n{_json(*call)}}}\n``"),
    "all values as strings": _on_call(_as_strings),
    "arguments as unescaped string": _on_call(_string_of_json),
    "arguments wrapped in input": _on_call(lambda name, held: _tagged(name, {"input": held})),
    "names in another case": _on_call(_misspelt),
    "two letters of the tool swapped": _on_call(_typo),
}


def _cut(calls: Sequence[Call]) -> str:
    """Cut between the arguments' opening bracket and their closing one."""
    text = _tagged(*calls[0])
    start = text.index('"arguments"') + len('"arguments": {')
    return text[: random.Random(len(text)).randrange(start, text.rindex("}}"))]


def _quote_lost(calls: Sequence[Call]) -> str:
    text = _json(*calls[0])
    strings = [found.end() - 1 for found in re.finditer(r': "[^"\\]+"', text)][1:]
    return text[: strings[0]] + text[strings[0] + 1 :] if strings else ""


def _unit(calls: Sequence[Call]) -> str:
    name, held = calls[0]
    numbers = [key for key, value in held.items() if type(value) in (int, float)]
    return _tagged(name, {**held, numbers[0]: f"{held[numbers[0]]} km"}) if numbers else ""


def _stranger(calls: Sequence[Call]) -> str:
    return _tagged("do_what_is_needed", calls[0][1])


MESSAGE: dict[str, Callable[[Sequence[Call]], str]] = {
    "cut inside the arguments": _cut,
    "a closing quote lost": _quote_lost,
    "a number with a unit": _unit,
    "a tool that is not there": _stranger,
}

MARKS = '{}[]",:'


def _one_mark(change: Callable[[str, random.Random], str]) -> Callable[[Sequence[Call], int], str]:
    """Change one of JSON's own marks, outside strings' contents, chosen at random."""

    def spoil(calls: Sequence[Call], seed: int) -> str:
        dice = random.Random(seed)
        text = _each(_tagged)(calls)
        within = {
            at for found in re.finditer(r'"(?:[^"\\]|\\.)*"', text) for at in range(found.start() + 1, found.end() - 1)
        }
        at = dice.choice([at for at, mark in enumerate(text) if mark in MARKS and at not in within])
        return text[:at] + change(text[at], dice) + text[at + 1 :]

    return spoil


RANDOM: dict[str, Callable[[Sequence[Call], int], str]] = {
    "one mark lost": _one_mark(lambda mark, dice: ""),
    "one mark doubled": _one_mark(lambda mark, dice: mark * 2),
    "one mark exchanged": _one_mark(lambda mark, dice: dice.choice(MARKS.replace(mark, ""))),
}
"""Of these it cannot be said which can be mended: the calls are right, or a message is; only wrong calls are not."""
TIMES = 4
"""How often each call is spoiled at random."""

# The readers.


def ours(text: str, tools: Sequence[ToolDefinition]) -> tuple[list[Call], bool]:
    """Read with the student's reader."""
    reading = read_calls(text, (), tools)
    return [(call.name, call.arguments) for call in reading.calls], bool(reading.faults)


def plain(text: str, tools: Sequence[ToolDefinition]) -> tuple[list[Call], bool]:
    """Read the block between the first bracket and the last with json.loads."""
    try:
        return _looked_up(json.loads(_block(text)), tools), False
    except ValueError:
        return [], True


def mender() -> Reader | None:
    """Return json-repair as a reader, where it is installed."""
    try:
        repair = importlib.import_module("json_repair")
    except ImportError:
        return None

    def read(text: str, tools: Sequence[ToolDefinition]) -> tuple[list[Call], bool]:
        found = _looked_up(repair.loads(_block(text)), tools)
        return found, not found

    return read


def _block(text: str) -> str:
    found = re.search(r"[\[{].*[\]}]", text, re.DOTALL)
    return found.group() if found else ""


def _looked_up(value: Any, tools: Sequence[ToolDefinition]) -> list[Call]:
    names = {tool.name for tool in tools}
    calls = []
    for one in value if isinstance(value, list) else [value]:
        held = one.get("arguments", one.get("parameters")) if isinstance(one, dict) else None
        if isinstance(held, dict) and isinstance(one.get("name"), str) and one["name"] in names:
            calls.append((one["name"], held))
    return calls


@dataclass
class Tally:
    """What came of one row."""

    questions: int = 0
    right: int = 0
    calls: int = 0
    wrong: int = 0
    seconds: float = 0.0

    def add(
        self, read: Reader, text: str, tools: Sequence[ToolDefinition], gold: Sequence[Call], *, either: bool = False
    ) -> None:
        """Read one text; without gold calls the right answer is a message, and with `either` it may be one."""
        started = time.perf_counter()
        calls, fault = read(text, tools)
        self.seconds += time.perf_counter() - started
        self.questions += 1
        self.calls += max(1, len(gold))
        self.right += (_equal(calls, gold) if gold else not calls and fault) or (either and fault)
        self.wrong += sum(not any(_equal([one], [other]) for other in gold) for one in calls)

    def __str__(self) -> str:
        speed = f"{self.calls / self.seconds:8,.0f}" if self.seconds else " " * 8
        return f"{100 * self.right / max(1, self.questions):6.1f} {self.wrong:6} {speed}"


def _equal(left: Sequence[Call], right: Sequence[Call]) -> bool:
    return len(left) == len(right) and all(a[0] == b[0] and same(a[1], b[1]) for a, b in zip(left, right, strict=True))


def rows(questions: Sequence[Question]) -> Iterator[tuple[str, str, list[tuple[str, Question, tuple[Call, ...]]]]]:
    """Yield each row: its group, its name, and the texts with tools and gold calls."""
    for name, write in FORMS.items():
        chosen = [(one, one.calls[:1] if name in FIRST_ONLY else one.calls) for one in questions]
        yield "undamaged", name, [(write(calls), one, calls) for one, calls in chosen]
    for name, damage in DAMAGE.items():
        yield "damaged", name, [_with_question(damage(one), one) for one in questions]
    for name, spoil in MESSAGE.items():
        texts = [(spoil(one.calls), one) for one in questions if one.calls[0][1]]
        yield "to be answered", name, [(text, one, ()) for text, one in texts if text]

    for name, change in RANDOM.items():
        seeds = [(one, TIMES * at + time) for at, one in enumerate(questions) for time in range(TIMES)]
        yield EITHER, name, [(change(one.calls, seed), one, one.calls) for one, seed in seeds]


def _with_question(damaged: Damaged, question: Question) -> tuple[str, Question, tuple[Call, ...]]:
    return damaged[0], question, damaged[1]


def measure(questions: Sequence[Question]) -> dict[tuple[str, str], dict[str, Tally]]:
    """Return the tallies of every row and reader."""
    third = mender()
    readers: dict[str, Reader] = {"ours": ours, "json.loads": plain} | ({"json-repair": third} if third else {})
    table: dict[tuple[str, str], dict[str, Tally]] = {}
    for group, name, texts in rows(questions):
        table[group, name] = {reader: Tally() for reader in readers}
        for text, question, gold in texts:
            for reader, read in readers.items():
                table[group, name][reader].add(read, text, question.tools, gold, either=group == EITHER)
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path, help="BFCL's files are in it")
    questions, left_out = load(parser.parse_args().folder)
    calls = sum(len(one.calls) for one in questions)
    print(f"{len(questions)} questions with {calls} calls; {left_out} left out: a gold call breaks its schema")
    print("each: % of questions answered right, wrong calls accepted, calls read a second")
    table = measure(questions)
    print(f"{'':15} {'':37}" + "".join(f"{reader:>24}" for reader in next(iter(table.values()))))
    sums: dict[str, dict[str, Tally]] = {}
    for (group, name), tallies in table.items():
        print(f"{group:15} {name:37}" + "".join(f"  {tally!s}" for tally in tallies.values()))
        for reader, tally in tallies.items():
            total = sums.setdefault(group, {}).setdefault(reader, Tally())
            for key, held in vars(tally).items():
                setattr(total, key, getattr(total, key) + held)
    for group, tallies in sums.items():
        print(f"{group:15} {'all':37}" + "".join(f"  {tally!s}" for tally in tallies.values()))


if __name__ == "__main__":
    main()
