"""The turns of an episode that a student has to take, what it said in them, and whether that was right."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ABSTAINS = "No tool here can"
"""How every abstention of the generator begins."""
MOST = 256
"""Tokens that an answer may take."""

Ask = Callable[[list["Turn"]], list["Said"]]


@dataclass(frozen=True)
class Said:
    """What a student said: its calls as (name, arguments), and its text."""

    calls: tuple[tuple[str, Any], ...]
    text: str


@dataclass(frozen=True)
class Turn:
    """One message that the student has to give."""

    tools: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    """All before it."""
    gold: dict[str, Any]
    kind: str
    """The episode's kind, and where a call came before it, `:after`, or `:answer` where a text is due."""
    abstains: bool


def turns(tools: list[dict[str, Any]], messages: list[dict[str, Any]], kind: str) -> list[Turn]:
    """Give a turn for each assistant message of an episode."""
    found = []
    for place, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        text = message.get("content") or ""
        later = any(m["role"] == "tool" for m in messages[:place])
        calls = bool(message.get("tool_calls"))
        where = (":after" if later else "") if calls else ":answer" if later else ""
        abstains = not calls and text.startswith(ABSTAINS)
        found.append(Turn(tools, messages[:place], message, kind + where, abstains))
    return found


def read(text: str) -> Said:
    """Read what a student wrote; a call that cannot be read stays text, and is wrong."""
    words, calls = [], []
    for number, part in enumerate(text.split("<tool_call>")):
        told, closed, rest = part.partition("</tool_call>") if number else ("", "", part)
        try:
            call = json.loads(told) if closed else None
            calls += [(call["name"], call["arguments"])] if call else []
        except (ValueError, KeyError, TypeError):
            rest = "<tool_call>" + part
        words.append(rest.strip() if closed or not number else "<tool_call>" + part)
    return Said(tuple(calls), "\n".join(word for word in words if word))


def refuses(said: Said) -> bool:
    """Say whether a student abstained: no call, and the words that all abstentions begin with."""
    return not said.calls and said.text.startswith(ABSTAINS)


def right(said: Said, turn: Turn) -> bool:
    """Judge what was said against the gold message."""
    gold = [(call["function"]["name"], call["function"]["arguments"]) for call in turn.gold.get("tool_calls") or ()]
    if turn.abstains:
        return refuses(said)
    same_calls = sorted(map(_canonical, said.calls)) == sorted(map(_canonical, gold))
    return same_calls and said.text == (turn.gold.get("content") or "")


def _canonical(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Make equal JSON numbers equal texts: 5.0 is 5, and true stays apart from 1."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
