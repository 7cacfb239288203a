"""Reads calls in Python's form: one, several in a list or on lines of their own, and calls through a caller."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from boxwright_student.calls.literals import read_python_call
from boxwright_student.calls.shapes import calls_in
from boxwright_student.calls.values import Unreadable, Work
from boxwright_student.calls.written import Written

_BEFORE = r"(?:[A-Za-z_]\w*\s*=\s*)?(?:print\(\s*)?"
PYTHON = re.compile(rf"\[?\s*{_BEFORE}(?=[A-Za-z_][\w.-]*\s*\()")
_NEXT = re.compile(rf"\s*(?:\)(?=\s*(?:\n|;|$|```)))?\s*[,;\n]\s*{_BEFORE}(?=[A-Za-z_][\w.-]*\()")
_NAME = re.compile(r"[\w.-]*")
_CALLERS = ("call", "tool", "function", "invoke", "execute")


def read_python(text: str, at: int, start: int, region: int, known: Callable[[str], bool], work: Work) -> list[Written]:
    """Read the calls from `start` on; one that cannot be read ends them.

    Args:
        text: The text.
        at: Where the first call's markup starts.
        start: Where its name starts.
        region: Where the markup around it ends.
        known: Whether a name is a tool's, in whatever spelling.
        work: The steps left.
    """
    calls: list[Written] = []
    while True:
        try:
            found = read_python_call(text, start, work)
        except Unreadable as error:
            return [*calls, Written(at, region, name_at(text, start), fault=str(error))]
        written = Written(at, found.end, found.name, found.arguments, found.positional)
        written = replace(written, notes=found.notes, loose=found.loose)
        calls.append(written if known(found.name) else _through_a_caller(written, known))
        following = _NEXT.match(text, found.end)
        if not following:
            return calls
        at = start = following.end()


def name_at(text: str, at: int) -> str:
    """Return the name that stands at a place."""
    found = _NAME.match(text, at)
    return found.group() if found else ""


def is_caller(name: str) -> bool:
    """Say whether a name may be that of a function through which tools are called."""
    return re.split(r"[._]", name)[-1] in _CALLERS


def _through_a_caller(call: Written, known: Callable[[str], bool]) -> Written:
    """Read `tool.call("name", {…})` and its like as the call they ask for."""
    if not is_caller(call.name):
        return call
    match call.positional:
        case (str() as name, dict() as arguments) if not call.arguments:
            return replace(call, name=name, arguments=arguments, positional=())
    shapes = calls_in(call.arguments, known) if not call.positional else None
    if shapes and len(shapes) == 1 and shapes[0].explicit:
        return replace(call, name=shapes[0].name, arguments=shapes[0].arguments, beside=shapes[0].beside)
    return call
