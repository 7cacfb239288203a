"""What must hold of placed spans, checked from the trajectory alone and not from how they were placed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from boxwright_training.kinds import Kind
from boxwright_training.spans import Placed, Segmenter
from boxwright_training.spans.chat import Chat


def stretches(placed: Placed, kind: Kind, turn: tuple[int, int]) -> str:
    """The characters of a kind within a turn."""
    start, end = turn
    return "".join(
        char for char, one in zip(placed.text[start:end], placed.kinds[start:end], strict=True) if one == kind
    )


def faults(placed: list[Placed], chat: Chat, segmenter: Segmenter) -> list[str]:
    """Say what is wrong with a placed conversation; nothing, where all holds.

    Every turn of the student is in one text. In it, what was said stands under its own kind, in order; what came of an
    act stands after it as observed; nothing outside of turns is supervised; and each token has one span.
    """
    said = [at for at, one in enumerate(chat.messages) if one.role == "assistant" and one.supervised]
    turns = [(at, turn, one) for one in placed for at, turn in zip(one.said, one.turns, strict=True)]
    found = [] if sorted(at for at, _, _ in turns) == said else ["the turns are not those that were said, each once"]
    for at, turn, one in turns:
        message = chat.messages[at]
        for kind in (Kind.REASON, Kind.ACT):
            wanted = [message.content[p.start : p.end].strip() for p in message.parts if p.kind == kind]
            if kind == Kind.REASON and message.thinking:
                wanted.insert(0, message.thinking)
            if kind == Kind.ACT:
                wanted += [name for name, _ in message.calls]
            found += _missing(wanted, stretches(one, kind, turn), kind)
    for one in placed:
        found += _outside(one) + _tokens(one, segmenter)
    seen = [one.content.strip() for one in chat.messages if one.observed]
    observed = "".join(
        char for char, kind in zip(placed[-1].text, placed[-1].kinds, strict=True) if kind == Kind.OBSERVE
    )
    if len(placed) == 1:
        found += _missing(seen, observed, Kind.OBSERVE, as_json=True)
    return found


def _missing(wanted: list[str], text: str, kind: Kind, *, as_json: bool = False) -> list[str]:
    """`as_json`: or as a template writes it that puts results into JSON."""
    at = 0
    for one in wanted:
        place = text.find(one, at)
        if place < 0 and as_json:
            one = json.dumps(one, ensure_ascii=False)[1:-1]
            place = text.find(one, at)
        if place < 0:
            return [f"{one[:40]!r} is not under {kind.name.lower()}"]
        at = place + len(one)
    return []


def _outside(one: Placed) -> list[str]:
    inside: Any = np.zeros(len(one.text), bool)
    for start, end in one.turns:
        inside[start:end] = True
    kinds = np.frombuffer(one.kinds, np.uint8)
    supervised = (kinds == Kind.REASON) | (kinds == Kind.ACT)
    return [] if (supervised == inside).all() else ["something outside of turns is supervised, or a turn is not"]


def _tokens(one: Placed, segmenter: Segmenter) -> list[str]:
    ids, kinds, starts, _ = segmenter.tokens(one)
    coded = segmenter.tokenizer(one.text, add_special_tokens=False, verbose=False).input_ids
    if ids.tolist() != coded or len(kinds) != len(ids):
        return ["the tokens are not those of the text"]
    if any(kinds[place] != one.kinds[start] for place, start in enumerate(starts)):
        return ["a token has another span than its first character"]
    return []
