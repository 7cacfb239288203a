"""A call as it stands in a text, before anybody asks which tool and which arguments it means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class Raw(str):
    """A value written between tags, without quotes: text or a literal, as the schema says."""


@dataclass(frozen=True)
class Written:
    """A call as it stands in the text, or what was meant as one and cannot be read."""

    start: int
    end: int
    name: str = ""
    arguments: Any = field(default_factory=dict)
    positional: tuple[Any, ...] = ()
    """Arguments without a name, as in Python's form."""
    explicit: bool = True
    """Whether it says which part of it the arguments are."""
    notes: tuple[str, ...] = ()
    """What was mended to read it."""
    loose: bool = False
    """Whether quotes inside a string were taken as text."""
    beside: tuple[str, ...] = ()
    """Keys that stand beside the arguments and belong to no call."""
    ended: bool = True
    """Whether the model ended it, or the text just stops there."""
    fault: str = ""
    """Why it cannot be read."""
