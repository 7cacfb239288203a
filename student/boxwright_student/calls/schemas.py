"""What a tool's JSON Schema says about a value: references followed, types named, and a skeleton of what is wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

_MOST_REFERENCES = 32
_DEEPEST = 4
_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a string",
    "array": "a list",
    "object": "an object",
    "boolean": "true or false",
}

# As in the kernel: JSON Schema counts 4.0 as an integer, a Python function would meet a float.
_WHOLE = Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
)
_Strict: type[Validator] = extend(Draft202012Validator, type_checker=_WHOLE)  # type: ignore[no-untyped-call]  # untyped there


class Schema:
    """A tool's schema, with what is needed to look into it.

    Tools come from anywhere, so a schema may be none: then, and where a reference leads nowhere, anything fits, and the
    tool's server has to judge. Nothing is fetched to resolve a reference.
    """

    def __init__(self, root: dict[str, Any]) -> None:
        self._validator = _compiled(json.dumps(root))
        self.root: dict[str, Any] = dict(cast(dict[str, Any], self._validator.schema))

    def follow(self, schema: Any) -> dict[str, Any]:
        """Return a part of the schema with its references followed; what cannot be followed allows anything."""
        for _ in range(_MOST_REFERENCES):
            if not isinstance(schema, dict):
                return {} if schema is not False else {"not": {}}
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                return schema
            schema = {**self._at(reference), **{key: held for key, held in schema.items() if key != "$ref"}}
        return {}

    def faults(self, value: Any) -> Iterator[ValidationError]:
        """Yield what is wrong with whole arguments."""
        try:
            yield from self._validator.iter_errors(value)
        except Unresolvable:
            return

    def allows(self, schema: dict[str, Any], value: Any) -> bool:
        """Say whether a value fits a part of the schema."""
        try:
            return bool(self._validator.evolve(schema=schema).is_valid(value))
        except Unresolvable:
            return True

    def types(self, schema: dict[str, Any]) -> list[str]:
        """Return the types a part allows; none means any."""
        named = schema.get("type")
        if isinstance(named, str):
            return [named]
        if isinstance(named, list):
            return [str(one) for one in named]
        if "properties" in schema:
            return ["object"]
        return []

    def wanted(self, schema: Any, depth: int = 0) -> str:
        """Say in words what a part of the schema wants."""
        schema = self.follow(schema) if depth < _DEEPEST else {}
        options = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else None
        if options is not None:
            return f"one of {json.dumps(options, ensure_ascii=False)}" if len(options) > 1 else json.dumps(options[0])
        parts = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        if parts:
            return " or ".join(dict.fromkeys(self.wanted(one, depth + 1) for one in parts))
        words = " or ".join(self._type_in_words(one, schema, depth) for one in self.types(schema)) or "any value"
        return words + _bounds(schema)

    def placeholder(self, schema: Any, depth: int = 0) -> str:
        """Return JSON with `<…>` where a value has to be filled in."""
        schema = self.follow(schema) if depth < _DEEPEST else {}
        if "const" in schema:
            return json.dumps(schema["const"], ensure_ascii=False)
        if "enum" in schema:
            return _one_of(schema["enum"])
        for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            if self.types(self.follow(part)) != ["null"]:
                return self.placeholder(part, depth + 1)
        kind = next((one for one in self.types(schema) if one != "null"), "any value")
        if kind == "object":
            properties, required = schema.get("properties", {}), schema.get("required", ())
            inner = (f"{json.dumps(key)}: {self.placeholder(properties.get(key, {}), depth + 1)}" for key in required)
            return "{" + ", ".join(inner) + "}"
        if kind == "array":
            items = self.placeholder(schema.get("items", {}), depth + 1)
            return "[" + ", ".join([items] * max(1, schema.get("minItems", 1))) + "]"
        return f'"<{kind}{_bounds(schema)}>"' if kind == "string" else f"<{kind}{_bounds(schema)}>"

    def _at(self, reference: str) -> dict[str, Any]:
        place: Any = self.root
        for part in reference.removeprefix("#").strip("/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if key:
                place = place.get(key, {}) if isinstance(place, dict) else {}
        return place if isinstance(place, dict) else {}

    def _type_in_words(self, kind: str, schema: dict[str, Any], depth: int) -> str:
        words = _WORDS.get(kind, kind)
        return (
            f"{words} of ({self.wanted(schema['items'], depth + 1)})"
            if kind == "array" and "items" in schema
            else words
        )


@lru_cache(maxsize=1024)
def _compiled(schema: str) -> Validator:
    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except (SchemaError, RecursionError):
        return _Strict({})
    return _Strict(json.loads(schema), registry=Registry())


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None or high is not None:
        return f" of at least {low}" if low is not None else f" of at most {high}"
    return f" like {schema['pattern']}" if isinstance(schema.get("pattern"), str) else ""


def _one_of(options: list[Any]) -> str:
    if all(isinstance(one, str) for one in options):
        return f'"<{" | ".join(options)}>"'
    return f"<{' | '.join(json.dumps(one, ensure_ascii=False) for one in options)}>"
