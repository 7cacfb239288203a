"""What every importer starts from and ends in: a row of a file, and a trajectory that names no run of ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from boxwright.models import Message, Usage
from boxwright.traces import Ended, KeptLanguage, Trajectory

IMPORTED = "imported"
"""The model of a trajectory whose source names none."""
NO_ROW = (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError)
"""What reading a row in another form than its format's ends in."""
_SCORES = ("right", "correct", "is_correct", "success", "resolved", "score", "reward")


class Unreadable(ValueError):
    """The row is no trajectory; the message says why."""


@dataclass(frozen=True)
class Row:
    """One value out of a file, which may be a trajectory."""

    value: Any
    source: str
    """File, and line, row number or key."""
    suite: str
    """The file's stem."""
    key: str = ""
    """The name the file gives it, where it is a member of an object."""


def made(
    row: Row,
    messages: Sequence[Message],
    *,
    prompt: str,
    answer: str | None,
    ended: Ended,
    act_language: KeptLanguage,
    **rest: Any,
) -> Trajectory:
    """Return what was read of a row as a trajectory: the source's id and model, nobody's usage."""
    named = row.value if isinstance(row.value, dict) else {}
    values: dict[str, Any] = {
        "task": row.key or _named(named, "task_id", "instance_id", "id", "name"),
        "suite": row.suite,
        "model": _named(named, "model", "model_name") or IMPORTED,
        "right": score(named),
        "usage": Usage(),
    }
    return Trajectory(
        **(values | rest),
        prompt=prompt,
        messages=tuple(messages),
        answer=answer,
        ended=ended,
        act_language=act_language,
    )


def score(named: dict[str, Any]) -> bool | None:
    """Return what a row says of its answer: true, false, 1 or 0 under a usual name; other numbers say neither."""
    for name in _SCORES:
        value = named.get(name)
        said = value.strip().lower() if isinstance(value, str) else value
        if said in (True, "true", "1"):
            return True
        if said in (False, "false", "0"):
            return False
    return None


def text_of(content: Any) -> str:
    """Return a message's content, which may be text, a list of parts or nothing.

    Raises:
        Unreadable: It holds what is no text, such as a picture: nothing is left out in silence.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Unreadable(f"its content is no text but {type(content).__name__}")
    parts = [part if isinstance(part, str) else part.get("text") for part in content]
    if strange := [part for part, text in zip(content, parts, strict=True) if not isinstance(text, str)]:
        raise Unreadable(f"its content holds a part that is no text: {str(strange[0])[:80]}")
    return "".join(map(str, parts))


def as_text(value: Any) -> str:
    """Return a value as text: itself where it is some, else its JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def objects(value: Any) -> bool:
    """Say whether this is a list of JSON objects, with at least one in it."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _named(named: dict[str, Any], *names: str) -> str:
    values = (named.get(name) for name in names)
    return next((str(value) for value in values if isinstance(value, str | int) and value != ""), "")
