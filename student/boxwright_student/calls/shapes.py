"""The shapes in which a JSON value is a call: every key under which models put a tool's name and its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_NAMES = ("name", "tool", "tool_name", "function_name", "function", "action", "recipient_name", "toolName", "func")
_ARGUMENTS = (
    "arguments",
    "parameters",
    "args",
    "kwargs",
    "params",
    "input",
    "tool_input",
    "action_input",
    "toolInput",
    "tool_args",
    "tool_arguments",
    "function_args",
    "arguments_json",
)
_LISTS = ("tool_calls", "function_calls", "tool_uses", "calls", "actions")
_AROUND = ("function", "function_call", "tool_call", "tool", "action", "call", "tool_code")
_BESIDE = frozenset(
    {"id", "type", "index", "thought", "thoughts", "reasoning", "call_id", "tool_call_id", "explanation"}
)
CALL_KEYS = (*_NAMES, *_ARGUMENTS, *_LISTS, *_AROUND, *_BESIDE)
"""Keys that the first key of a call in JSON is one of."""


@dataclass(frozen=True)
class Shape:
    """A value taken for a call."""

    name: str
    arguments: Any
    explicit: bool = True
    """Whether a key says that these are the arguments."""
    beside: tuple[str, ...] = ()
    """Keys beside the arguments that do not belong to a call: arguments, maybe, that were put outside."""


def calls_in(value: Any, known: Callable[[str], bool]) -> list[Shape] | None:
    """Return the calls a JSON value holds, or None where it is no call.

    Args:
        value: What was read.
        known: Whether a name is a tool's, in whatever spelling.
    """
    if isinstance(value, list):
        return _calls_in_list(value, known)
    if not isinstance(value, dict) or _is_definition(value):
        return None
    for key in _LISTS:
        if isinstance(value.get(key), list):
            return _calls_in_list(value[key], known)
    named = _named(value, known)
    if named:
        return [named]
    for key in _AROUND:
        inner = value.get(key)
        if isinstance(inner, dict) and set(value) <= {key, *_BESIDE}:
            return calls_in(inner, known)
    return _keyed_by_name(value, known)


def _calls_in_list(values: list[Any], known: Callable[[str], bool]) -> list[Shape] | None:
    shapes: list[Shape] = []
    for value in values:
        found = calls_in(value, known) if isinstance(value, dict) else None
        if found is None:
            return None
        shapes += found
    return shapes or None


def _named(value: dict[str, Any], known: Callable[[str], bool]) -> Shape | None:
    for key in _NAMES:
        name = value.get(key)
        if not isinstance(name, str) or not name:
            continue
        for arguments in _ARGUMENTS:
            if arguments in value and arguments != key:
                rest = {one: held for one, held in value.items() if one not in {key, arguments, *_BESIDE}}
                return Shape(name, value[arguments], beside=tuple(rest)) if not rest or known(name) else None
        rest = {one: held for one, held in value.items() if one != key and one not in _BESIDE}
        return Shape(name, rest, explicit=False) if known(name) else None
    return None


def _keyed_by_name(value: dict[str, Any], known: Callable[[str], bool]) -> list[Shape] | None:
    """Read `{"tool": {…}}`: each key is a tool's name."""
    if value and all(isinstance(held, dict) and known(name) for name, held in value.items()):
        return [Shape(name, held) for name, held in value.items()]
    return None


def _is_definition(value: dict[str, Any]) -> bool:
    """Whether a tool's definition was copied instead of a call written."""
    inner = value.get("function") if isinstance(value.get("function"), dict) else value
    parameters = inner.get("parameters") if isinstance(inner, dict) else None
    described = isinstance(inner, dict) and "description" in inner
    return described and isinstance(parameters, dict) and isinstance(parameters.get("properties"), dict)
