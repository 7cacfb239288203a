"""Values between code and JSON: arguments on their way to a tool, results and answers on their way out."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic_monty import MontyClassProxy

from boxwright.jsontypes import Json, canonical

DEEPEST = 100
"""Levels of nested lists, dicts and objects that a value may have; deeper ones break what handles them by recursion."""


def check_depth(value: Any, left: int = DEEPEST) -> None:
    """Refuse a value that is nested too deeply.

    Raises:
        ValueError: It has more than `DEEPEST` levels.
    """
    if isinstance(value, MontyClassProxy):
        value = value.attributes
    inner = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        if left == 0:
            raise ValueError(f"the value is nested more than {DEEPEST} levels deep")
        for one in inner:
            check_depth(one, left - 1)


def to_json(value: Any) -> Json:
    """Return a value of the code as JSON: tuples and sets as lists, dates as ISO text, objects as their attributes.

    Sets come in the order of their canonical texts, so that equal sets are equal lists.

    Raises:
        ValueError: JSON has no form for it; the message names it.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | Decimal):
        return _number(value)
    if isinstance(value, list | tuple):
        return [to_json(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted((to_json(one) for one in value), key=canonical)
    if isinstance(value, Mapping):
        return {_key(key): to_json(one) for key, one in value.items()}
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, MontyClassProxy):
        return to_json(value.attributes)
    raise ValueError(f"a value of type {type(value).__name__} has no form in JSON: {value!r:.100}")


def answer_text(value: Any) -> str:
    """Return an answer as text: a string as it is, lists and dicts as JSON, anything else as Python prints it."""
    try:
        plain = to_json(value)
    except ValueError:
        return str(value)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, list | dict) else str(plain)


def shown(value: Any) -> str:
    """Return a last expression's value as the model reads it: a string as it is, else as Python writes it."""
    return value if isinstance(value, str) else repr(value)


def _number(value: float | Decimal) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no finite number")
    return number


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool | int | float | None):
        return json.dumps(key)
    raise ValueError(f"the keys of a dict must be strings, got {key!r:.100}")
