"""When two samples want or found the same: the keys that votes are counted under."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from boxwright.jsontypes import Json, canonical
from boxwright_student.code.signatures import resolved
from boxwright_student.code.values import check_depth, to_json
from boxwright_student.toolset import ToolOutcome

DIGITS = 12
"""Significant digits in which floating-point numbers are compared; the order of operations changes later ones."""

_BOXED = re.compile(r"\\boxed\s*\{([^{}]*)\}")
_MARKED = re.compile(r"(?:final answer|answer)\s*(?:is|:|=)\s*(.+)", re.IGNORECASE)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL = re.compile(r"(?<![\w.])-?\d+\.\d+(?:[eE][-+]?\d+)?(?![\w.])")


def answer_key(answer: Any) -> str:
    """Return what an answer is compared by: its value, or its text without case, spacing and marks.

    "The answer is **24.0**." and 24 are the same answer.
    """
    try:
        value = to_json(answer)
    except ValueError:
        value = str(answer)
    if isinstance(value, bool | None):
        value = str(value)
    return canonical(_text_value(_answer_part(value).casefold()) if isinstance(value, str) else rounded(value))


def result_key(outcome: ToolOutcome, schema: Mapping[str, Any] | None = None) -> str:
    """Return what a tool's result is compared by.

    Args:
        outcome: What came of the call.
        schema: The tool's output schema; only lists that it says have unique items are compared without their order.
    """
    try:
        check_depth(outcome.value)
    except ValueError:
        return canonical(outcome.text)
    if outcome.value is None:
        return canonical(_text_value(outcome.text))
    return canonical(rounded(outcome.value, schema or {}, schema or {}))


def code_key(printed: str, value: Any) -> str:
    """Return what a run of code is compared by: what it printed, and the value of its last expression."""
    try:
        plain = rounded(to_json(value))
    except ValueError:
        plain = str(value)
    return canonical([_text_value(printed), plain])


def rounded(value: Json, schema: Mapping[str, Any] | None = None, root: Mapping[str, Any] | None = None) -> Json:
    """Return a value with its floats rounded to `DIGITS` digits, whole ones as integers, and its sets in one order."""
    schema, root = resolved(schema or {}, root or {}), root or {}
    if isinstance(value, float):
        return _rounded_number(value)
    if isinstance(value, list):
        items = [rounded(one, _inner(schema.get("items")), root) for one in value]
        return sorted(items, key=canonical) if schema.get("uniqueItems") is True else items
    if isinstance(value, dict):
        properties = _inner(schema.get("properties"))
        return {key: rounded(one, _inner(properties.get(key)), root) for key, one in value.items()}
    return value


def _inner(schema: object) -> Mapping[str, Any]:
    return schema if isinstance(schema, Mapping) else {}


def _rounded_number(value: float) -> int | float | str:
    if not math.isfinite(value):
        return str(value)
    number = float(f"{value:.{DIGITS}g}")
    return int(number) if number.is_integer() else number


def _answer_part(text: str) -> str:
    """Return what a text marks as its answer, else all of it, without the marks around it."""
    found = _BOXED.findall(text) or _MARKED.findall(text) or [text]
    return str(found[-1]).strip(" \t\n*_`\"'“”$.:")


def _text_value(text: str) -> Json:
    """Return the JSON value that a text is, else the text with its spaces made one and its decimals rounded."""
    text = " ".join(text.split())
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    try:
        value = json.loads(text)
        check_depth(value)
    except (ValueError, RecursionError):
        return _DECIMAL.sub(lambda found: str(_rounded_number(float(found[0]))), text)
    return rounded(value)
