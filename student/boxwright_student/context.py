"""Fitting a conversation into a model's window: what is old is folded, then left out, and both are said to the model.

A server that gets more than its window holds cuts in silence, from the front, tools and question first. So the window
is counted here, and nothing leaves a conversation without a mark in its place.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from boxwright.errors import ContextOverflow
from boxwright.models import Message
from boxwright.models.tokens import TokenGauge

if TYPE_CHECKING:
    from boxwright_student.acts import Form, Sent

FOLDED_TO = 160
"""Characters that are left of a folded result."""
ROOM_AFTER = 0.7
"""How much of the room is filled once something had to go. Folding a little at every step would change the start of
the prompt each time, and the server could reuse nothing of what it has read already."""
CHARS_PER_TOKEN = 3
"""A careful guess, for results that have not been counted yet."""
LONGEST_UNBOUNDED = 100_000
"""Characters of one result where nobody tells how large the window is."""
WIDEST_SHARE = 3
"""One result may take this part of the room, and a smaller one where many come at once."""
NARROWEST_SHARE = 96
MOST_RECALLED = 12
"""Left-out calls that are recalled in a line each, the latest ones."""


@dataclass(frozen=True)
class View:
    """A conversation as the model is shown it."""

    messages: tuple[Message, ...]
    sent: Sent
    """The same in the form it is sent in, tools and all."""
    notes: tuple[str, ...] = ()
    """What was folded or left out on this occasion, for the person who watches."""


class Window:
    """The room that one attempt has in its model's context.

    Args:
        tokens: The window that prompt and answer share; None where it is not known, until the server refuses.
        reply_tokens: What is kept free for the answer.
    """

    def __init__(self, tokens: int | None, reply_tokens: int) -> None:
        self._tokens, self._reply = tokens, reply_tokens
        self._folded = 0  # results before this message are folded
        self._left_out = 0  # messages before this one are left out, but for the system's and the question
        self._share = WIDEST_SHARE
        self._gauge = TokenGauge()

    @property
    def room(self) -> int | None:
        """Tokens that a prompt may take; None where nobody knows."""
        return None if self._tokens is None else max(self._tokens - min(self._reply, self._tokens // 4), 1)

    def bound(self, text: str) -> str:
        """Return a result as the conversation keeps it: of one that fills over a third of the room, both ends."""
        most = LONGEST_UNBOUNDED if self.room is None else self.room * CHARS_PER_TOKEN // self._share
        return shorten(text, max(most, FOLDED_TO))

    def took(self, sent: Sent, prompt_tokens: int) -> None:
        """Learn from what a prompt took, as its server counted."""
        if self._tokens is not None:  # else nothing is estimated
            self._gauge.learn(*sent, prompt_tokens)

    def refused(self, sent: Sent, error: ContextOverflow) -> None:
        """Learn from a server that refused a prompt or cut it: the window is smaller than was thought."""
        if error.prompt_tokens is not None:
            self._gauge.learn(*sent, error.prompt_tokens)
        took = error.prompt_tokens or self._gauge.estimate(*sent)
        known = error.context_tokens or took * 4 // 5
        self._tokens = known if self._tokens is None else min(known, self._tokens * 9 // 10)

    def fit(self, messages: Sequence[Message], form: Form, question: int, remember: str = "") -> View:
        """Return the conversation as far as it fits.

        Args:
            messages: All of it.
            form: Turns it into what is sent, of which the size is bounded.
            question: The index of the message that asks; it and the system's are never left out.
            remember: What has to be said again once messages are left out, such as the plan.

        Raises:
            ContextOverflow: Not even the question fits.
        """
        room, before = self.room, (self._folded, self._left_out)

        def view() -> tuple[View, int]:
            shown = self._render(messages, question, remember)
            sent = form(shown)
            count = 0 if room is None else self._gauge.estimate(*sent)
            return View(shown, sent, self._notes(before, messages)), count

        def fits(field: str, end: int) -> bool:
            setattr(self, field, end)
            return room is not None and view()[1] <= room * ROOM_AFTER

        whole, count = view()
        if room is None or count <= room:
            return whole
        for ends, field in ((_results(messages), "_folded"), (_turns(messages, question), "_left_out")):
            left = [end for end in ends if end > getattr(self, field)]
            if left:  # the further the end, the less is left; so the first that fits is found by halving
                place = bisect_left(left, True, key=partial(fits, field))
                if fits(field, left[min(place, len(left) - 1)]):
                    return view()[0]
        while (shown := view())[1] > room and self._share < NARROWEST_SHARE:
            self._share *= 2  # many results of one turn
        if shown[1] > room:
            raise ContextOverflow("the question and its tools", shown[1], self._tokens, f"{room} are for the prompt")
        return shown[0]

    def _render(self, messages: Sequence[Message], question: int, remember: str) -> tuple[Message, ...]:
        shown: list[Message] = []
        gone: list[Message] = []
        for index, message in enumerate(messages):
            if index == question and self._left_out > 0:
                shown.append(message)  # what is to be recalled is known at the end
                place = len(shown) - 1
            elif message.role != "system" and index < self._left_out:
                gone.append(message)
            elif message.role == "tool":  # whose bound may have become less since
                text = fold(message.content) if index < self._folded else self.bound(message.content)
                shown.append(message if text == message.content else message.model_copy(update={"content": text}))
            else:
                shown.append(message)
        if gone:
            asked = messages[question]
            most = (self.room or LONGEST_UNBOUNDED) * CHARS_PER_TOKEN // 8
            recalled = f"{asked.content}\n\n{_recall(gone, most)}" + (f"\n{remember}" if remember else "")
            shown[place] = asked.model_copy(update={"content": recalled})
        return tuple(shown)

    def _notes(self, before: tuple[int, int], messages: Sequence[Message]) -> tuple[str, ...]:
        folded = sum(one.role == "tool" for one in messages[before[0] : self._folded])
        left_out = self._left_out - before[1]
        return (
            *((f"{folded} old results folded to fit the context",) if folded else ()),
            *((f"{left_out} old messages left out to fit the context",) if left_out else ()),
        )


def fold(text: str) -> str:
    """Return a result's beginning, with a mark of what is missing."""
    if len(text) <= FOLDED_TO * 3 // 2:
        return text
    return f"{text[:FOLDED_TO]} [… {len(text) - FOLDED_TO} characters folded to save room; call again to see them]"


def shorten(text: str, most: int) -> str:
    """Return at most about `most` characters of a text: its head and its tail, with a mark between them."""
    if len(text) <= most:
        return text
    head, tail = most * 2 // 3, most // 3
    return f"{text[:head]}\n[… {len(text) - head - tail} characters left out here …]\n{text[len(text) - tail :]}"


def _results(messages: Sequence[Message]) -> list[int]:
    """Return where folding may end: behind each result, but for those of the latest turn."""
    latest = max((index for index, one in enumerate(messages) if one.role != "tool"), default=0)
    return [index + 1 for index, one in enumerate(messages[:latest]) if one.role == "tool"]


def _turns(messages: Sequence[Message], question: int) -> list[int]:
    """Return where leaving out may end: before each turn, so that a call is never parted from its results."""
    # What is left of a history has to begin with its user: chat templates want the turns to alternate.
    return [
        index
        for index, one in enumerate(messages)
        if index > 1 and (one.role == "user" if index <= question else one.role != "tool")
    ]


def _recall(gone: Sequence[Message], most: int) -> str:
    lines: list[str] = []
    called: dict[str, str] = {}  # of the latest turn: ids come again in later ones
    for message in gone:
        if message.role == "assistant":
            called = {call.id: f"{call.name}({_brief(call.arguments)})" for call in message.tool_calls}
        elif message.tool_call_id in called:
            lines.append(f"- {called[message.tool_call_id]} gave {message.content[:80]!r}")
    head = f"[{len(gone)} earlier messages are left out here to save room.]"
    told = "\n".join(lines[-MOST_RECALLED:])[-most:]
    return f"{head}\nCalls made in them:\n{told}" if told else head


def _brief(arguments: dict[str, Any]) -> str:
    return json.dumps(arguments, ensure_ascii=False)[:120]
