"""Places spans in what a chat template renders, by the template's own offsets: nothing is found by its text.

A turn is rendered a second time with marks, characters of a private area, at the edges of what the student says. Where
they come out is where the spans are; without them the rendering has to be the same to the letter. A turn begins where
the prompt for it ends, and ends with the token that ends it, which the student has to learn too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from boxwright.errors import BadInput
from boxwright.models.written import WrittenToken
from boxwright_training.kinds import Kind
from boxwright_training.spans.chat import Chat, ChatMessage

__all__ = ["Placed", "Render", "SpansInvalid", "Template", "Turn", "place"]

FIRST_MARK = 0xF0000
"""Where Unicode's supplementary private use area A begins (Unicode, section 23.5): two marks for each thing said."""
_MARK = re.compile("[\U000f0000-\U000fffff]")

Render = Callable[[Sequence[ChatMessage], bool], str]
"""Renders messages; the flag asks for the prompt of the next turn behind them."""


class SpansInvalid(BadInput):
    """Spans cannot be placed in what the template renders; the message says why and what would help."""


@dataclass(frozen=True)
class Template:
    """What is known of a tokenizer's template."""

    render: Render
    ends: tuple[str, ...]
    """The tokens that can end a turn, the tokenizer's own first."""
    tokens: re.Pattern[str] | None
    """The tokens that are never cut: `<tool_call>`, `<|im_end|>` and the like."""


class Turn(NamedTuple):
    """What the student said once: [start, end) of the rendered text, and the kinds of its stretches."""

    start: int
    end: int
    stretches: tuple[tuple[int, Kind], ...]
    """Each begins at an offset and goes to the next."""


@dataclass(frozen=True)
class Placed:
    """A rendered conversation with the turns that are supervised in it.

    Attributes:
        text: what was rendered.
        kinds: a kind for each character.
        turns: [start, end) of each supervised turn.
        said: the place of each in the conversation.
        written: the tokens of each as its model wrote them, where they were kept.
    """

    text: str
    kinds: bytes
    turns: tuple[tuple[int, int], ...]
    said: tuple[int, ...]
    written: tuple[tuple[WrittenToken, ...], ...]


def place(chat: Chat, template: Template) -> list[Placed]:
    """Render a conversation and place its spans.

    A template that writes an earlier turn otherwise once others follow (Qwen3 leaves its thinking out) gives several
    texts, each with the turns that stand in it as the student will have to say them: every turn is in exactly one.

    Raises:
        SpansInvalid: The template refuses the conversation, leaves out or changes what was said, or never ends a turn.
    """
    messages = chat.messages
    if _MARK.search("".join(f"{one.content}{one.thinking}{one.calls}" for one in messages)):
        raise SpansInvalid(
            "a message holds a character from U+F0000 to U+FFFFF, which are needed as marks here; take it out"
        )
    waiting = [
        (at, _turn(messages, at, template))
        for at, one in enumerate(messages)
        if one.role == "assistant" and one.supervised
    ]
    _refuse_unseen(messages, template)
    placed: list[Placed] = []
    text, whole = template.render(messages, False), len(messages)
    while waiting:
        last, (said, turn) = waiting[-1]
        if text[: turn.end] != said[: turn.end]:
            text, whole = said, last + 1
        here = [(at, one) for at, (full, one) in waiting if text[: one.end] == full[: one.end]]
        waiting = [(at, one) for at, one in waiting if all(at != other for other, _ in here)]
        kinds = _kinds(text, messages[:whole], here)
        said_here = tuple(at for at, _ in here)
        turns = tuple((one.start, one.end) for _, one in here)
        placed.append(Placed(text, kinds, turns, said_here, tuple(messages[at].written for at in said_here)))
    return placed[::-1]


def _refuse_unseen(messages: Sequence[ChatMessage], template: Template) -> None:
    """Check that each result is written, since a student learns from them all the same where it cannot see them."""
    mark = chr(FIRST_MARK)
    marked = [replace(one, content=f"{mark}{one.content}") if one.observed else one for one in messages]
    results = sum(one.observed for one in messages)
    shown = template.render(marked, False).count(mark) if results else 0
    if shown < results:
        raise SpansInvalid(
            f"the template leaves out {results - shown} of {results} results: a student would learn to answer without "
            "seeing them; take a template that writes messages of the role 'tool'"
        )


def _kinds(text: str, messages: Sequence[ChatMessage], turns: Sequence[tuple[int, Turn]]) -> bytes:
    """Give each character its kind; between two turns is what was observed, or what was asked next."""
    kinds = bytearray([Kind.PROMPT]) * len(text)
    for number, (at, turn) in enumerate(turns):
        ends = (*(start for start, _ in turn.stretches[1:]), turn.end)
        for (start, kind), end in zip(turn.stretches, ends, strict=True):
            kinds[start:end] = bytes([kind]) * (end - start)
        following, until = turns[number + 1] if number + 1 < len(turns) else (len(messages), None)
        stop = until.start if until else len(text)
        if any(one.observed for one in messages[at + 1 : following]):
            kinds[turn.end : stop] = bytes([Kind.OBSERVE]) * (stop - turn.end)
    return bytes(kinds)


def _turn(messages: Sequence[ChatMessage], at: int, template: Template) -> tuple[str, Turn]:
    """Return the text up to and with a turn, and the turn in it."""
    before, message = messages[:at], messages[at]
    prompt = template.render(before, True)
    text = template.render([*before, message], False)
    if not text.startswith(prompt):
        raise SpansInvalid(
            "the template's prompt for a turn is not how it begins the turn afterwards "
            f"({_tail(prompt)!r} is followed by {text[len(prompt) :][:40]!r}); take a template whose generation prompt "
            "is a prefix of the assistant's message, or set its options with --template-option"
        )
    end = _end(text, len(prompt), template)
    return text, Turn(len(prompt), end, _stretches(before, message, text, len(prompt), template))


def _end(text: str, start: int, template: Template) -> int:
    """Return where a turn ends: behind the token that ends it, which closes the text but for white space."""
    stripped = text.rstrip()
    for token in template.ends:
        if stripped.endswith(token) and len(stripped) - len(token) >= start:
            return len(stripped)
    raise SpansInvalid(
        f"the template ends a turn with {_tail(text)!r}, which is none of the tokenizer's special tokens "
        f"{list(template.ends)[:6]}: a student trained on it would never stop; take a template that ends turns"
    )


def _stretches(
    before: Sequence[ChatMessage], message: ChatMessage, text: str, start: int, template: Template
) -> tuple[tuple[int, Kind], ...]:
    marked, kinds = _marked(message)
    edges = _edges(template.render([*before, marked], False), text, len(kinds))
    stretches = [(start, kinds[edges[0].number])]
    for earlier, later in pairwise(edges):
        kind = kinds[later.number]
        if kind == stretches[-1][1]:
            continue
        cut = later.start
        if earlier.end < later.start:
            cut = _cut(before, message, earlier, later, text, template)
        stretches.append((cut, kind))
    return tuple(stretches)


class _Edge(NamedTuple):
    """Where something the student said came out: [start, end); of a call, the name alone."""

    start: int
    end: int
    number: int


def _marked(message: ChatMessage) -> tuple[ChatMessage, list[Kind]]:
    """Return the message with two marks around each thing said, and the kinds of these."""
    kinds: list[Kind] = []

    def mark(text: str, kind: Kind) -> str:
        """Marks stand within white space at the edges: a template strips that as it would without them."""
        first, last = (chr(FIRST_MARK + 2 * len(kinds) + side) for side in (0, 1))
        kinds.append(kind)
        inner = text.strip()
        begin = len(text) - len(text.lstrip())
        return f"{text[:begin]}{first}{inner}{last}{text[begin + len(inner) :]}"

    thinking = mark(message.thinking, Kind.REASON) if message.thinking else ""
    content, done = "", 0
    for part in message.parts:
        content += message.content[done : part.start] + mark(message.content[part.start : part.end], part.kind)
        done = part.end
    content += message.content[done:]
    calls = message.calls
    if calls:
        calls = ((mark(calls[0][0], Kind.ACT), calls[0][1]), *calls[1:])
    return replace(message, thinking=thinking, content=content, calls=calls), kinds


def _edges(marked: str, text: str, count: int) -> list[_Edge]:
    """Find the marks, and check that they are all that tells the two renderings apart."""
    places = [
        (found.start() - number, ord(found[0]) - FIRST_MARK) for number, found in enumerate(_MARK.finditer(marked))
    ]
    if _MARK.sub("", marked) != text:
        raise SpansInvalid("the template writes a message otherwise when marks are put into it: spans have no place")
    if len(places) < 2 * count:
        raise SpansInvalid(
            "the template leaves out some of what was said (thinking, or the text beside a call); put thinking into "
            "the content with --thoughts content, leave it out with --thoughts drop, or take another template"
        )
    pairs = list(zip(places[::2], places[1::2], strict=False))
    if len(places) > 2 * count or any((first ^ last) != 1 or first % 2 for (_, first), (_, last) in pairs):
        raise SpansInvalid("the template writes something that was said twice, or one thing within another")
    return [_Edge(start, end, mark // 2) for (start, mark), (end, _) in pairs]


def _cut(
    before: Sequence[ChatMessage],
    message: ChatMessage,
    earlier: _Edge,
    later: _Edge,
    text: str,
    template: Template,
) -> int:
    """Part what the template writes between two things said: what would follow the first alone belongs to it."""
    gap = text[earlier.end : later.start]
    if not gap.strip():
        return later.start
    alone = replace(message, calls=(), call_ids=())
    if not message.calls:
        alone = replace(alone, content="", parts=())
    try:
        without = template.render([*before, alone], False)
    except SpansInvalid:
        return earlier.end
    if without[: earlier.end] != text[: earlier.end]:
        return earlier.end
    shared = 0
    for one, other in zip(gap, without[earlier.end :], strict=False):
        if one != other:
            break
        shared += 1
    cut = earlier.end + shared
    for token in template.tokens.finditer(text, earlier.end, later.start) if template.tokens else ():
        if token.start() < cut < token.end():
            return token.start()
    return cut


def _tail(text: str) -> str:
    return text[-40:]
