"""Reads a model's answer as calls: finds them, mends what has one reading, and words a message for the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from boxwright.errors import did_you_mean, near_misses
from boxwright.models import ToolCall, ToolDefinition
from boxwright_student.calls.arguments import Fitted, fit
from boxwright_student.calls.bare import bare_calls
from boxwright_student.calls.literals import read_literal
from boxwright_student.calls.markup import marked_calls, without
from boxwright_student.calls.messages import WITHIN_THINKING, fault_message
from boxwright_student.calls.names import nearest
from boxwright_student.calls.schemas import Schema
from boxwright_student.calls.thinking import split_thinking
from boxwright_student.calls.values import Found, Open, Unreadable, Work, too_deep
from boxwright_student.calls.written import Written

NO_TOOL = "no_tool"
"""The name under which a model that has to write a call says that it calls none; its `answer` becomes the text."""
_MOST_NAMES = 30
_MOST_CALLS = 64
_SHOWN = 2_000


@dataclass(frozen=True)
class Fault:
    """A call that is not made."""

    written: str
    """The call as the model wrote it."""
    message: str
    """What the model is told: the tool, what is wrong, what is wanted, and the call to write."""
    name: str = ""
    """The tool that was meant, where that is known."""
    id: str = ""
    """The call's id, where the server gave it one."""


@dataclass(frozen=True)
class Reading:
    """What a model's answer says."""

    calls: tuple[ToolCall, ...] = ()
    """Calls whose tool is there and whose arguments fit its schema."""
    text: str = ""
    """What is left for the user, without calls and thinking."""
    thinking: str = ""
    repairs: tuple[str, ...] = ()
    """One line for each thing that was changed."""
    faults: tuple[Fault, ...] = ()
    """Calls that were meant and cannot be made."""


def read_calls(
    text: str, native: Sequence[ToolCall], tools: Sequence[ToolDefinition], *, finished: bool = False
) -> Reading:
    """Read what a model answered.

    A value is never guessed: where what was written has more than one reading that fits, there is a fault. Strings stay
    exactly as they were written.

    Args:
        text: The answer's text.
        native: The calls that the server read out of it itself.
        tools: The tools that the model was shown.
        finished: The model ended by itself (`stop`), so that a missing bracket is an omission, not a cut.
    """
    said, thought = split_thinking(text)
    reader = _Reader(tools, finished, Work(len(text)))
    for call in native:
        reader.take_native(call)
    marked = marked_calls(said, reader.knows, reader.work)
    written = marked or ([] if native else bare_calls(said, reader.knows, reader.work))
    reader.take_all(written, said)
    left = without(said, written)
    if not left and not reader.calls and not reader.faults and not reader.answers:
        reader.take_thought(thought)
    return Reading(
        tuple(reader.calls),
        "\n".join([*([left] if left else []), *reader.answers]),
        thought,
        tuple(dict.fromkeys(reader.repairs)),
        tuple(reader.faults),
    )


class _Reader:
    """Gathers the calls and faults of one answer."""

    def __init__(self, tools: Sequence[ToolDefinition], finished: bool, work: Work) -> None:
        self.tools = {tool.name: tool for tool in tools}
        self.finished, self.work = finished, work
        self.calls: list[ToolCall] = []
        self.repairs: list[str] = []
        self.faults: list[Fault] = []
        self.answers: list[str] = []
        self._names: dict[str, str | None] = {}
        self._native: list[tuple[str, dict[str, Any]]] = []

    def knows(self, name: str) -> bool:
        """Say whether a name is a tool's, or can only mean one."""
        return name == NO_TOOL or self._name(name) is not None

    def take_native(self, call: ToolCall) -> None:
        """Take a call that the server read."""
        found = Found(call.arguments, 0)
        fault = ""
        if call.fault:
            try:
                found = _whole_literal(call.raw)
            except Unreadable as error:
                fault = str(error)
        written = Written(
            0, 0, call.name, found.value, notes=found.notes, loose=found.loose, ended=self.finished, fault=fault
        )
        self._take(written, call.raw or json.dumps(call.arguments, ensure_ascii=False), call.id)

    def take_all(self, written: Sequence[Written], text: str) -> None:
        """Take the calls that stand in a text; an answer of more than a sane number of them is a model gone astray."""
        if len(written) > _MOST_CALLS:
            problem = f"{len(written)} calls stand in one answer; at most {_MOST_CALLS} are taken"
            self._fault(text[written[0].start :], "", [problem])
            return
        for one in written:
            self._take(one, text[one.start : one.end].strip(), "")

    def take_thought(self, thought: str) -> None:
        """Take the call that stands in the thinking alone; drafts that differ are no call."""
        marked = [one for one in marked_calls(thought, self.knows, self.work) if self.knows(one.name)]
        self.take_all(marked, thought)
        if len(self.calls) + len(self.faults) > 1:
            self.faults = [
                Fault(
                    "\n".join(thought[one.start : one.end].strip() for one in marked)[:_SHOWN],
                    f"{WITHIN_THINKING}. Write the call to make after it.",
                )
            ]
            self.calls.clear()
        elif self.calls:
            self.repairs.append("the call stood within the thinking")

    def _take(self, written: Written, text: str, call_id: str) -> None:
        name = self._name(written.name)
        if name is None:
            self._take_unknown(written, text, call_id)
            return
        if written.fault:
            self._fault(text, name, [f"the call cannot be read: {written.fault}"], call_id=call_id)
            return
        schema = Schema(self.tools[name].parameters)
        fitted = self._fit(name, schema, written)
        outside = [f"{key!r} stands beside the arguments; put it inside or leave it out" for key in written.beside]
        problems = fitted.problems + outside or self._cut(written, schema) or _unsayable(fitted.arguments)
        if problems:
            self._fault(text, name, problems, fitted.arguments, call_id)
            return
        if not call_id and (name, fitted.arguments) in self._native:
            return  # the server has read it already
        call = ToolCall(id=call_id or f"call_{len(self.calls)}", name=name, arguments=fitted.arguments)
        if call_id:
            self._native.append((name, call.arguments))
        self.calls.append(call)
        self.repairs += [f"{written.name!r} read as {name!r}"] if written.name != name else []
        self.repairs += [f"{name}: {note}" for note in (*written.notes, *fitted.notes)]

    def _fit(self, name: str, schema: Schema, written: Written) -> Fitted:
        if too_deep(written.arguments):
            return Fitted(problems=["the arguments are nested too deep"])
        try:
            return fit(
                name,
                schema,
                written.arguments,
                positional=written.positional,
                loose=written.loose,
                rebracketed=any("bracket" in note for note in written.notes),
            )
        except RecursionError:  # a schema that refers to itself and nothing else
            return Fitted(problems=["the tool's schema cannot be followed"])

    def _take_unknown(self, written: Written, text: str, call_id: str) -> None:
        arguments = written.arguments
        if written.name == NO_TOOL and not written.fault and isinstance(arguments, dict):
            self.answers.append(str(arguments.get("answer", "")))
            return
        if written.fault and not written.name:
            self._fault(text, "", [f"the call cannot be read: {written.fault}"], call_id=call_id)
            return
        names = list(self.tools)
        near = near_misses(written.name, names)
        listed = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "") or "none"
        problem = f"there is no tool {written.name!r}; the tools are: {listed}{did_you_mean(near)}"
        self._fault(text, near[0] if near else "", [problem], call_id=call_id, named="")

    def _cut(self, written: Written, schema: Schema) -> list[str]:
        """Say whether the call may have been cut off where more of it would have come."""
        arguments = written.arguments
        if written.ended or self.finished or not isinstance(arguments, Open):
            return []
        if arguments.complete and set(schema.follow(schema.root).get("properties", {})) <= set(arguments):
            return []
        return ["the call breaks off before its end"]

    def _fault(
        self,
        text: str,
        name: str,
        problems: Iterable[str],
        arguments: dict[str, Any] | None = None,
        call_id: str = "",
        named: str | None = None,
    ) -> None:
        tool = self.tools.get(name)
        meant = name if named is None else named
        message = fault_message(meant, list(problems), tool, arguments or {})
        self.faults.append(Fault(text[:_SHOWN], message, meant, call_id))

    def _name(self, name: str) -> str | None:
        if name not in self._names:
            self._names[name] = nearest(name, list(self.tools))
        return self._names[name]


def _whole_literal(text: str) -> Found:
    """Read arguments with nothing but white space and brackets too many behind them.

    Raises:
        Unreadable: They cannot be read, or more follows.
    """
    found = read_literal(text, 0, Work(len(text)))
    rest = text[found.end :].strip()
    if rest.strip("}])` \n"):
        raise Unreadable(f"something follows them: {rest[:60]!r}")
    return found


def _unsayable(arguments: dict[str, Any]) -> list[str]:
    """Say whether arguments hold what is no Unicode text, which no server takes."""
    try:
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        return [f"the arguments cannot be sent: {error}"]
    return []
