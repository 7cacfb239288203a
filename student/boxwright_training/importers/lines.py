"""The line grammar of transcripts whose acts are text: which lines are reasoning, acts and observations.

Two surface forms are read, each by the heads of its lines. A line without a head goes on with what stands before it.

- ReAct's for questions, and LangChain's: `Thought:`, `Action:`, `Observation:`, with or without a number.
- ReAct's for ALFWorld: `> think: …` and `> go to shelf 1`; every line without `>` is what came of it.

`ActionPath` (KnowAgent) lists the acts so far: that is reasoning, and part of the act only where the act follows on the
next line, since otherwise each act would be counted twice. Pieces are whole lines; one line break between two speakers
belongs to neither, so the messages joined by line breaks are the source's text.

Sources: ReAct (arXiv 2210.03629), FireAct (arXiv 2310.05915), KnowAgent (arXiv 2403.03101).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from boxwright.models import Message
from boxwright_training.importers.row import Unreadable
from boxwright_training.kinds import Kind

_KINDS = {
    Kind.REASON: ("Thought", "Think", "Reasoning", "Reflection", "ActionPath"),
    Kind.ACT: ("Action Input", "Action", "Act", "Final Answer", "Answer"),
    Kind.OBSERVE: ("Observation",),
}
_OF_HEAD = {head.upper(): kind for kind, heads in _KINDS.items() for head in heads}
_HEAD = re.compile(rf"({'|'.join(head + '|' + head.upper() for heads in _KINDS.values() for head in heads)})(?: \d+)?:")
_PROMPT = re.compile(r">\s*\S")
_PROMPT_HEAD = re.compile(r">\s*(think|ActionPath)\s*:", re.IGNORECASE)
_FINISH = re.compile(r"(?:(?:Action|ACTION|Act)(?: \d+)?:|>)\s*finish\s*\[(.*)\]\s*", re.IGNORECASE | re.DOTALL)
_FINAL = re.compile(r"(?:Final )?Answer:\s*(.*)", re.IGNORECASE | re.DOTALL)
_REWARD = re.compile(r"(?:reward\s*=\s*|answer is )(true|correct|1(?:\.0*)?|false|incorrect|0(?:\.\d*)?)(?!\w)", re.I)


class Piece(NamedTuple):
    """A stretch of whole lines of one kind, without the line break at its end."""

    kind: Kind
    head: str
    start: int
    end: int


@dataclass(frozen=True)
class Transcript:
    """A text taken apart."""

    before: str
    """What stands before the first step: the question, or the rest of it."""
    messages: tuple[Message, ...]
    answer: str | None
    verdict: str
    """What the world said of the answer; it came after the last act and is no message."""
    enclosed: bool
    """Whether acts stand behind `>`: such a world takes no answer."""

    @property
    def right(self) -> bool | None:
        """What the verdict says, such as `Episode finished, reward = 1` or `Answer is INCORRECT`.

        The last counts: two of FireAct's models made one up before it.
        """
        said = _REWARD.findall(self.verdict)
        return said[-1].lower().startswith(("true", "correct", "1")) if said else None


def begins_with_head(text: str) -> bool:
    """Say whether a text begins as a step of ReAct's does."""
    return bool(_HEAD.match(text.lstrip()))


def has_steps(text: str) -> bool:
    """Say whether some line of a text is an act."""
    return any(piece.kind is Kind.ACT for piece in pieces(text))


def transcript(text: str) -> Transcript:
    """Take a transcript apart.

    Raises:
        Unreadable: It holds no act.
    """
    text = text.rstrip("\n")
    found = pieces(text)
    if not any(piece.kind is Kind.ACT for piece in found):
        raise Unreadable("no line of it is an act, such as 'Action: search[…]' or '> go to shelf 1'")
    first = next(place for place, piece in enumerate(found) if piece.kind is not Kind.PROMPT)
    before = text[: max(found[first].start - 1, 0)]
    steps = found[first:]
    last = max(place for place, piece in enumerate(steps) if piece.kind is Kind.ACT)
    answer = answer_of(text[steps[last].start : steps[last].end])
    verdict = ""
    if answer is not None and all(piece.kind is Kind.OBSERVE for piece in steps[last + 1 :]):
        verdict = text[steps[last].end :].strip()
        steps = steps[: last + 1]
    enclosed = text.startswith(">", steps[0].start)
    return Transcript(before, tuple(_messages(text, steps)), answer, verdict, enclosed)


def pieces(text: str) -> list[Piece]:
    """Return the text as pieces that cover it, all but one line break between two of them."""
    found: list[Piece] = []
    enclosed = _is_enclosed(text)
    at = 0
    for line in text.split("\n"):
        end = at + len(line)
        before = found[-1].kind if found else Kind.PROMPT
        headed = (_enclosed_kind if enclosed else _headed_kind)(line, before)
        if headed is None and found:
            found[-1] = found[-1]._replace(end=end)
        else:
            kind, head = headed or (Kind.PROMPT, "")
            found.append(Piece(kind, head, at, end))
        at = end + 1
    return found


def acts_in(text: str, steps: Sequence[Piece], start: int = 0) -> tuple[tuple[int, int], ...]:
    """Return the stretches of the acts among these pieces, counted from `start`."""
    spans: list[tuple[int, int]] = []
    for before, piece in zip((None, *steps), steps, strict=False):
        if piece.kind is not Kind.ACT:
            continue
        if piece.head == "ACTION INPUT" and before and before.kind is Kind.ACT:
            spans[-1] = (spans[-1][0], piece.end - start)
            continue
        joined = before is not None and before.head == "ACTIONPATH" and before.end == piece.start - 1
        spans.append((before.start - start if before and joined else piece.start - start, piece.end - start))
    return tuple(spans)


def answer_of(act: str) -> str | None:
    """Return the answer that an act gives: `finish[…]`, `Finish[…]` or `Final Answer: …`."""
    given = _FINISH.fullmatch(act) or _FINAL.fullmatch(act)
    return given[1].strip() if given else None


def _messages(text: str, steps: list[Piece]) -> Iterator[Message]:
    for observed, group in groupby(steps, key=lambda piece: piece.kind is Kind.OBSERVE):
        turn = list(group)
        start, end = turn[0].start, turn[-1].end
        if observed:
            yield Message(role="user", content=text[start:end])
        else:
            yield Message(role="assistant", content=text[start:end], acts=acts_in(text, turn, start))


def _is_enclosed(text: str) -> bool:
    """Say which of the two forms a text has: that of the first line with a head."""
    lines = text.split("\n")
    return next((bool(_PROMPT.match(line)) for line in lines if _PROMPT.match(line) or _HEAD.match(line)), False)


def _headed_kind(line: str, before: Kind) -> tuple[Kind, str] | None:
    head = _HEAD.match(line)
    if head is None:
        return None
    name = head[1].upper()
    if name == "ANSWER" and before in (Kind.OBSERVE, Kind.PROMPT):  # of a page that was found, or of an example
        return None
    return _OF_HEAD[name], name


def _enclosed_kind(line: str, before: Kind) -> tuple[Kind, str] | None:
    if _PROMPT.match(line):
        head = _PROMPT_HEAD.match(line)
        return (Kind.REASON, head[1].upper()) if head else (Kind.ACT, "")
    return (Kind.OBSERVE, "") if before in (Kind.REASON, Kind.ACT) else None
