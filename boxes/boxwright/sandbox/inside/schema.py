"""JSON Schemas of a box's tools, from their hints and docstrings. Standard library only; runs in the sandbox.

The types are JSON's: int, float, str, bool, None, list[T], dict[str, T], Literal, TypedDict and unions of these.
The same source gives the same schemas under every Python version: docstrings are cleaned, order is the source's.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable
from types import ModuleType
from typing import Any

SCALARS: dict[Any, str] = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}


def describe(module: ModuleType) -> dict[str, Any]:
    """Return the module's public functions as tools, in source order, and every fault found on the way.

    The value is {"tools": [{"name", "description", "input_schema", "output_schema"}], "faults": [str]}.
    """
    tools: list[dict[str, Any]] = []
    faults: list[str] = []
    for name, function in vars(module).items():
        own = inspect.isfunction(function) and function.__module__ == module.__name__
        if not own or name.startswith("_"):
            continue
        try:
            tools.append(_tool(name, function, faults))
        except NameError as error:
            faults.append(f"{name}: a type hint does not resolve ({error})")
    if not tools and not faults:
        faults.append("there is no public function, so the box has no tool")
    return {"tools": tools, "faults": faults}


def _tool(name: str, function: Callable[..., Any], faults: list[str]) -> dict[str, Any]:
    description, notes = _docstring(function.__doc__ or "")
    if not description:
        faults.append(f"{name}: has no docstring; say what the tool does and when to use it")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        faults.append(f"{name}: is async or a generator; tools are plain functions")
    hints = typing.get_type_hints(function)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        where = f"{name}: parameter {parameter.name!r}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            faults.append(f"{where} is {parameter.kind.description}; parameters are plain names")
            continue
        properties[parameter.name] = schema = _hinted(hints, parameter.name, where, faults)
        if parameter.name in notes:
            schema["description"] = notes[parameter.name]
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        elif _is_json(parameter.default):
            schema["default"] = parameter.default
        else:
            faults.append(f"{where} has the default {parameter.default!r}, which is not JSON")
    for note in notes:
        if note not in properties:
            faults.append(f"{name}: the docstring describes {note!r}, which is no parameter")
    return {
        "name": name,
        "description": description,
        "input_schema": _object(properties, required),
        "output_schema": _hinted(hints, "return", f"{name}: the result", faults),
    }


def _hinted(hints: dict[str, Any], name: str, where: str, faults: list[str]) -> dict[str, Any]:
    if name not in hints:
        faults.append(f"{where} has no type hint")
        return {}
    try:
        return _schema(hints[name])
    except TypeError as error:
        faults.append(f"{where}: {error}")
        return {}


def _schema(hint: Any) -> dict[str, Any]:
    """Return the schema of a type hint, or raise TypeError naming what has no JSON form."""
    if hint in SCALARS:
        return {"type": SCALARS[hint]}
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is list or origin is list:
        return {"type": "array", **({"items": _schema(arguments[0])} if arguments else {})}
    if hint is dict or origin is dict:
        if arguments and arguments[0] is not str:
            raise TypeError(f"{_shown(hint)} has keys that are no strings")
        return {"type": "object", **({"additionalProperties": _schema(arguments[1])} if arguments else {})}
    if origin is typing.Literal:
        return _literal(arguments)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(one) for one in arguments]}
    if typing.is_typeddict(hint):
        fields = {name: _schema(one) for name, one in typing.get_type_hints(hint).items()}
        return _object(fields, [name for name in fields if name in hint.__required_keys__])
    raise TypeError(
        f"{_shown(hint)} has no JSON form; use int, float, str, bool, None, list, dict, Literal or TypedDict"
    )


def _literal(values: tuple[Any, ...]) -> dict[str, Any]:
    kinds = {type(value) for value in values}
    if not kinds <= set(SCALARS):
        raise TypeError(f"Literal{list(values)!r} holds values that are not JSON")
    kind = {"type": SCALARS[kinds.pop()]} if len(kinds) == 1 else {}
    return {**kind, "enum": list(values)}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _shown(hint: Any) -> str:
    return str(getattr(hint, "__name__", "")) or str(hint).replace("typing.", "")


def _is_json(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_json(one) for one in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(one) for key, one in value.items())
    return type(value) in SCALARS and value == value and value not in (float("inf"), float("-inf"))


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return the description, with what it returns but no other section, and the notes under Args, by parameter."""
    description: list[str] = []
    notes: dict[str, str] = {}
    section: str | None = None
    last: tuple[str, int] | None = None
    for line in inspect.cleandoc(text).splitlines():
        if re.fullmatch(r"(Args|Arguments|Parameters|Returns|Raises|Yields|Examples?|Notes?):", line.strip()):
            section, last = line.strip().rstrip(":"), None
            if section == "Returns":
                description.append("Returns:")
        elif section in (None, "Returns"):
            description.append(line)
        elif section in ("Args", "Arguments", "Parameters"):
            entry = re.match(r"(\s+)(\w+)(?:\s*\([^)]*\))?:\s*(.*)", line)
            if entry and (last is None or len(entry[1]) <= last[1]):
                last = (entry[2], len(entry[1]))
                notes[entry[2]] = entry[3]
            elif last and line.strip():
                notes[last[0]] = f"{notes[last[0]]} {line.strip()}".strip()
    return "\n".join(description).strip(), notes
