"""What an attempt tells while it goes on, as values, for those who show it. Traces are not made of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from boxwright.models import ToolCall, Usage
from boxwright_student.toolset import ToolOutcome


@dataclass(frozen=True)
class TextPiece:
    """A piece of the model's text as it streams."""

    kind: Literal["text", "thinking"]
    text: str


@dataclass(frozen=True)
class Planned:
    """The model wrote a plan, or another one."""

    steps: tuple[str, ...]


@dataclass(frozen=True)
class Coded:
    """The model wrote code that is about to run."""

    code: str


@dataclass(frozen=True)
class Calling:
    """A tool is about to be called."""

    call: ToolCall


@dataclass(frozen=True)
class Result:
    """What came of a call, or of code (`call` is then that of `python`)."""

    call: ToolCall
    outcome: ToolOutcome


@dataclass(frozen=True)
class Note:
    """Something a person may want to know: a repair, folded text, a vote, a retry."""

    text: str


@dataclass(frozen=True)
class Step:
    """A step is done; `usage` is that of the whole attempt so far."""

    number: int
    usage: Usage


Event = TextPiece | Planned | Coded | Calling | Result | Note | Step
