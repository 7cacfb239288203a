"""Reads JSON and Python literals as models write and damage them; what has two readings is refused, never guessed.

Valid JSON is left to the standard library. Only where that fails does the reader here begin. It differs from libraries
that repair JSON in what it is for: those always return something, while a call must not be made with a value that its
writer may not have meant. So a string without its end, a number with a unit or
an escape that may mean two things raise.
"""

from __future__ import annotations

import json
import re
from typing import Any

from boxwright_student.calls.damaged import Reader
from boxwright_student.calls.values import (
    SPACE,
    Found,
    FoundCall,
    Unreadable,
    Work,
    add_member,
    decimal,
    too_deep,
    whole,
)

_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_ALL_ESCAPED = re.compile(r"[\[{][\[{\s]*\\\"")


def read_literal(text: str, at: int, work: Work) -> Found:
    """Read the value that starts at a place of the text.

    Raises:
        Unreadable: There is none, or it has more than one reading.
    """
    work.charge(1)
    space = SPACE.match(text, at)
    start = space.end() if space else at
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        work.charge(error.pos - start)
    except (ValueError, RecursionError):
        work.charge(1_000)
    else:
        work.charge(end - start)
        if too_deep(value):
            raise Unreadable("it is nested too deep")
        return Found(value, end)
    if _ALL_ESCAPED.match(text, start):
        return _read_escaped(text, start, work)
    reader = Reader(text, work)
    value, end = reader.value(start)
    return Found(value, end, tuple(reader.notes), reader.loose)


def read_python_call(text: str, at: int, work: Work) -> FoundCall:
    """Read `name(argument, key=value)` that starts at a place of the text.

    Raises:
        Unreadable: There is none, or an argument is no literal.
    """
    reader = Reader(text, work)
    found = _NAME.match(text, at)
    if not found:
        raise Unreadable("no call starts here")
    start = reader.skip(found.end())
    if not text.startswith("(", start):
        raise Unreadable("no bracket follows the name")
    positional, arguments, end = reader.call_arguments(start + 1)
    return FoundCall(found.group(), tuple(positional), arguments, end, tuple(reader.notes), reader.loose)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        add_member(members, key, value)
    return members


_DECODER = json.JSONDecoder(
    parse_int=whole, parse_float=decimal, parse_constant=_no_constant, object_pairs_hook=_members
)


def _read_escaped(text: str, start: int, work: Work) -> Found:
    """Read JSON all of whose quotes were escaped once too often."""
    end = max(text.rfind("}"), text.rfind("]")) + 1
    work.charge(len(text) - start)
    try:
        inner = json.loads(f'"{text[start:end]}"', strict=False)
        value = _DECODER.decode(inner)
    except (ValueError, RecursionError):
        raise Unreadable("its quotes are escaped, but not all of them") from None
    return Found(value, end, ("quotes escaped once too often",))
