"""Which of the streamed text a person is shown: what reads as an answer, not the markup of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from boxwright_student.conversation import sayable
from boxwright_student.events import Event, TextPiece

_OPENINGS = ("<", "{", "[", "```", "Action:")
"""How text begins that is going to be a call rather than an answer."""
_MARKUP = ("<tool_call", "<function", "<|python_tag|>", "<think", "[TOOL_CALLS]", "```")
"""Where an answer ends and a call begins."""
_LONGEST_MARK = max(map(len, _MARKUP))


class ShownText:
    """Takes the pieces of one completion and emits them as long as they read as an answer."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._held = self._told = ""
        self._begun = self._silent = False

    def __call__(self, kind: Literal["text", "thinking"], piece: str) -> None:
        """Take a piece; a little is held back, since markup may come in pieces too."""
        piece = sayable(piece)
        if kind == "thinking":
            self._emit(TextPiece(kind, piece))
            return
        if self._silent:
            return
        self._held += piece
        if not self._begun:
            self._begin()
        if self._begun and not self._silent:
            self._pass_on()

    def end(self, answer: str | None) -> None:
        """Emit what was held back: the rest of the answer, which may look like a call; without one, plain text."""
        if answer is None:
            rest = self._held if self._begun and not self._silent else ""
        else:
            told = self._told.lstrip()
            answer = sayable(answer).strip()
            rest = answer[len(told) :] if answer.startswith(told) else ""
        self._tell(rest)
        self._silent = True

    def _tell(self, text: str) -> None:
        self._told += text
        if text:
            self._emit(TextPiece("text", text))

    def _begin(self) -> None:
        start = self._held.lstrip()
        if start.startswith(_OPENINGS):
            self._silent = True
        elif start and not any(opening.startswith(start) for opening in _OPENINGS):
            self._begun = True

    def _pass_on(self) -> None:
        found = [at for mark in _MARKUP if (at := self._held.find(mark)) >= 0]
        if found:
            self._held, self._silent = self._held[: min(found)], True
        keep = (
            0
            if found
            else next((size for size in range(_LONGEST_MARK - 1, 0, -1) if self._held[-size:] in _prefixes(size)), 0)
        )
        shown = self._held[: len(self._held) - keep]
        self._held = self._held[len(self._held) - keep :]
        self._tell(shown)


def _prefixes(size: int) -> set[str]:
    return {mark[:size] for mark in _MARKUP if len(mark) > size}
