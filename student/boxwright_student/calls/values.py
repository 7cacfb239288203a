"""What reading a literal gives: values that remember how they were written, the errors, and the count of steps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

DEEPEST = 64
"""Levels of nesting that are read."""
SPACE = re.compile(r"(?:[\s\ufeff\u200b]|\\[nrt](?=[\s\[\]{}\"',\\]|$))*")


class Unreadable(ValueError):
    """The text is no literal, or one with more than one reading; the message says where. Caught by who reads calls."""


class TooTangled(Unreadable):
    """Reading took more steps than the text's length allows for."""


class Whole(int):
    """An integer that knows how it was written, in case a string was wanted."""

    written: str


class Decimal(float):
    """A number with a fraction or an exponent that knows how it was written."""

    written: str


class Word(str):
    """A word without quotes: a string only where the schema lists it, since it may be the name of something."""


class Open(dict[str, Any]):
    """An object whose closing bracket was not written."""

    complete = False
    """Whether its last value at least came to an end."""


class Work:
    """How many steps may still be taken, about one for each character looked at: this keeps the time linear."""

    def __init__(self, length: int) -> None:
        self.left = 15 * length + 20_000

    def charge(self, steps: int) -> None:
        """Take steps off.

        Raises:
            TooTangled: None are left.
        """
        self.left -= steps
        if self.left < 0:
            raise TooTangled("the text is too tangled to be read")


@dataclass(frozen=True)
class Found:
    """A literal in a text."""

    value: Any
    end: int
    notes: tuple[str, ...] = ()
    loose: bool = False
    """Whether quotes inside a string were taken as text."""


@dataclass(frozen=True)
class FoundCall:
    """A call in Python's form."""

    name: str
    positional: tuple[Any, ...]
    arguments: dict[str, Any]
    end: int
    notes: tuple[str, ...] = ()
    loose: bool = False


def too_deep(value: Any) -> bool:
    """Say whether a value is nested deeper than what is read here may be."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _inside(one)]
        if not level:
            return False
    return True


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def holds_word(value: Any) -> bool:
    """Say whether a word without quotes is in a value."""
    if isinstance(value, dict | list):
        return any(map(holds_word, _inside(value)))
    return isinstance(value, Word)


def whole(written: str) -> int:
    value = Whole(written)
    value.written = written
    return value


def decimal(written: str) -> float:
    value = Decimal(written)
    if value in (float("inf"), float("-inf")):
        raise Unreadable(f"{written} is out of range")
    value.written = written
    return value


def add_member(members: dict[str, Any], key: str, value: Any) -> None:
    if key in members and repr(members[key]) != repr(value):
        raise Unreadable(f"{key!r} is given twice, with different values")
    members[key] = value


def left_open(members: dict[str, Any], text: str) -> Open:
    left = Open(members)
    last = next(reversed(members.values()), None)
    left.complete = not isinstance(last, Open | int | float | None) and text.rstrip()[-1:] in "\"'”’]})"
    return left
