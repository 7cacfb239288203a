"""What a person sees of an attempt as it goes on. Not a command itself.

The answer goes to stdout, as it comes where that is a terminal; everything else to stderr. Nothing here imports rich: a
start is to cost little more than its clients.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import click

from boxwright.models import ToolCall
from boxwright.visible import visible
from boxwright_student.events import Calling, Coded, Event, Note, Planned, Result, Step, TextPiece

LONGEST = 2000
"""How much of a result is shown; the model gets more, and the trajectory holds it."""


def call_text(call: ToolCall) -> str:
    """Return a call in one line, as Python would write it."""
    return _shortened(visible(f"{call.name}({', '.join(f'{key}={value!r}' for key, value in call.arguments.items())})"))


class Screen:
    """Takes events and prints them."""

    def __init__(self, *, thinking: bool = False, stream: bool | None = None) -> None:
        """Show thinking or not; stream the answer, by default where stdout is a terminal."""
        self._thinking = thinking
        self._at_terminal = sys.stdout is not None and sys.stdout.isatty()
        self._stream = self._at_terminal if stream is None else stream
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self._color = False if plain else None
        if isinstance(sys.stdout, io.TextIOWrapper):  # in another encoding than UTF-8, not every letter has a form
            sys.stdout.reconfigure(errors="replace")
        self._written = ""
        self._open: TextPiece | None = None

    def __call__(self, event: Event) -> None:
        """Print an event."""
        if isinstance(event, TextPiece):
            self._piece(event)
        elif not isinstance(event, Step):
            self._close()
            self._written = ""
            text, style = _shown(event)
            self.note(text, **style)

    def answer(self, text: str) -> None:
        """Print the answer, unless it was streamed."""
        self._close()
        if self._written.strip() != visible(text).strip():
            click.echo(visible(text) if self._at_terminal else text)
        self._written = ""

    def note(self, text: str, **style: Any) -> None:
        """Print a remark to stderr."""
        self._close()
        click.echo(click.style(visible(text), **style), err=True, color=self._color)

    def _piece(self, piece: TextPiece) -> None:
        if not (self._thinking if piece.kind == "thinking" else self._stream):
            return
        if self._open is not None and self._open.kind != piece.kind:
            self._close()
        self._open = piece
        text = visible(piece.text)
        if piece.kind == "thinking":
            click.echo(click.style(text, dim=True), err=True, nl=False, color=self._color)
        else:
            self._written += text
            click.echo(text, nl=False)

    def _close(self) -> None:
        """End a line that pieces have left open."""
        if self._open is not None:
            click.echo(err=self._open.kind == "thinking")
            self._open = None


def _shown(event: Planned | Coded | Calling | Result | Note) -> tuple[str, dict[str, Any]]:
    if isinstance(event, Planned):
        return "\n".join(["plan:", *(f"  {step}" for step in event.steps)]), {"fg": "cyan"}
    if isinstance(event, Coded):
        return "\n".join(f"> {line}" for line in event.code.splitlines()), {}
    if isinstance(event, Calling):
        return f"→ {call_text(event.call)}", {}
    if isinstance(event, Result):
        return f"← {_shortened(event.outcome.text)}", {"fg": "red"} if event.outcome.failed else {"dim": True}
    return f"· {event.text}", {"fg": "yellow"}


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} [… {len(text) - LONGEST} characters more]"
