"""Pasted into every exported script: checks a call's arguments and result by its schemas. Standard library only.

Names begin with `_boxwright_`, imports stand inside functions and few of Python's own names are used, since the box's
code stands above in the same file and may have names of its own.
"""

from typing import Any

# pasted from here on


def _boxwright_fault(schema: "dict[str, Any]", value: object, where: str) -> str:
    """Return what is wrong with a value, or nothing; it knows the schemas that a build of a box derives."""
    if "anyOf" in schema:
        faults = {_boxwright_fault(one, value, where): None for one in schema["anyOf"]}
        return "" if "" in faults else " or ".join(faults)
    kind = schema.get("type", "")
    if kind and not _boxwright_is(kind, value):
        words = {"integer": "a whole number", "array": "a list", "object": "an object", "null": "null"}
        return f"{where} must be {words.get(kind, f'a {kind}')}, got {value!r:.80}"
    if "enum" in schema and (type(value), value) not in [(type(one), one) for one in schema["enum"]]:
        return f"{where} must be one of {schema['enum']!r}, got {value!r:.80}"
    if isinstance(value, list):
        for index in range(len(value)):
            fault = _boxwright_fault(schema.get("items", {}), value[index], f"{where}[{index}]")
            if fault:
                return fault
    return _boxwright_object_fault(schema, value, where) if isinstance(value, dict) else ""


def _boxwright_object_fault(schema: "dict[str, Any]", value: "dict[Any, Any]", where: str) -> str:
    known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", []):
        if name not in value:
            return f"{where}: {name!r} is missing"
    for name, one in value.items():
        if type(name) is not str or (name not in known and rest is False):
            return f"{where}: {name!r} is none of {', '.join(known) or 'no parameters'}"
        fault = _boxwright_fault(known.get(name, rest if isinstance(rest, dict) else {}), one, f"{where}.{name}")
        if fault:
            return fault
    return ""


def _boxwright_is(kind: str, value: object) -> bool:
    if kind in ("integer", "number"):
        types = int if kind == "integer" else (int, float)
        return isinstance(value, types) and not isinstance(value, bool) and value - value == 0  # no NaN, no infinity
    names = {"string": str, "boolean": bool, "null": type(None), "array": list, "object": dict}
    return isinstance(value, names[kind])


def _boxwright_call(functions: "dict[str, Any]", tool: "dict[str, Any]", arguments: object) -> object:
    """Call a tool; ValueError says what the caller has to change, RuntimeError what is wrong with the box."""
    import contextlib
    import sys

    fault = _boxwright_fault(tool["input_schema"], arguments, "arguments")
    if fault:
        raise ValueError(f"{tool['name']}: {fault}")
    assert isinstance(arguments, dict)
    with contextlib.redirect_stdout(sys.stderr):  # what the box prints is no part of the answer
        result: object = functions[tool["name"]](**arguments)
    fault = _boxwright_fault(tool["output_schema"], result, "the result")
    if fault:
        raise RuntimeError(f"{tool['name']} breaks its own schema: {fault}")
    return result
