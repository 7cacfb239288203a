"""Checks values against a tool's schemas, with messages that a small model can act on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from boxwright.box.release import ToolSpec
from boxwright.errors import ArgumentsInvalid, ToolResultInvalid, did_you_mean, near_misses
from boxwright.jsontypes import Json, canonical

_MOST_FAULTS = 5
_SHOWN = 60

# JSON Schema counts 4.0 as an integer; a Python function would meet a float.
_WHOLE = Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
)
_StrictValidator: type[Validator] = extend(Draft202012Validator, type_checker=_WHOLE)  # type: ignore[no-untyped-call]  # untyped there


def check_arguments(tool: ToolSpec, arguments: Json) -> None:
    """Check a call's arguments.

    Raises:
        ArgumentsInvalid: They do not fit; the message names every parameter that is wrong and what it wants.
    """
    try:
        canonical(arguments)
    except (ValueError, RecursionError) as error:
        raise ArgumentsInvalid(f"{tool.name} got arguments that are not finite JSON: {error}") from error
    faults = list(_faults(_compiled(canonical(tool.input_schema)), arguments))
    if faults:
        raise ArgumentsInvalid(f"{tool.name} got arguments that do not fit: {'; '.join(faults)}")


def check_result(tool: ToolSpec, result: Json) -> None:
    """Check a call's result.

    Raises:
        ToolResultInvalid: It does not fit the tool's output schema: a bug of the box.
    """
    faults = list(_faults(_compiled(canonical(tool.output_schema)), result))
    if faults:
        raise ToolResultInvalid(f"{tool.name} gave a result that breaks its own schema: {'; '.join(faults)}")


@lru_cache(maxsize=4096)
def _compiled(schema: str) -> Validator:
    return _StrictValidator(json.loads(schema))


def _faults(validator: Validator, value: Any) -> Iterator[str]:
    for count, error in enumerate(validator.iter_errors(value)):
        if count == _MOST_FAULTS:
            yield "and more"
            return
        yield _fault(error)


def _fault(error: ValidationError) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    rule, wanted = error.validator, error.validator_value
    if rule == "required":
        return f"{_under(where)}{_missing(error)} is missing"
    if rule == "additionalProperties" and wanted is False:
        return f"{_under(where)}{_unknown(error)}"
    if rule == "type":
        return f"{where or 'the value'} must be {_article(wanted)}, got {_short(error.instance)}"
    if rule == "enum":
        return f"{where or 'the value'} must be one of {_short(wanted)}, got {_short(error.instance)}"
    if rule == "anyOf":
        kinds = " or ".join(_article(one.get("type", one)) for one in cast(list[dict[str, Any]], wanted))
        return f"{where or 'the value'} must be {kinds}, got {_short(error.instance)}"
    return f"{where or 'the value'}: {error.message[:200]}"


def _missing(error: ValidationError) -> str:
    assert isinstance(error.instance, dict)
    wanted = cast(list[str], error.validator_value)
    absent = [repr(name) for name in wanted if name not in error.instance and repr(name) in error.message]
    return " and ".join(absent)


def _unknown(error: ValidationError) -> str:
    assert isinstance(error.instance, dict)
    assert isinstance(error.schema, dict)
    known = list(error.schema.get("properties", {}))
    extra = [name for name in error.instance if name not in known]
    near = did_you_mean(near_misses(extra[0], known))
    return f"{', '.join(map(repr, extra))} is no parameter (they are {', '.join(known) or 'none'}){near}"


def _under(where: str) -> str:
    return f"{where}: " if where else ""


def _article(kind: Any) -> str:
    words = {"integer": "a whole number", "array": "a list", "object": "an object", "null": "null"}
    return words.get(str(kind), f"a {kind}")


def _short(value: Any) -> str:
    text = canonical(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
