"""Tools as Python functions: the signature a model reads, and a call's arguments matched against it."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boxwright.models import ToolDefinition
from boxwright_student.code.names import KEYWORDS, python_names

Schema = Mapping[str, Any]

_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "above {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matching {}",
    "format": "{}",
}
_MORE = "more"
"""The name of `**more`, where a tool takes arguments of any name."""
_DEEPEST = 5
"""Levels of nested types that are spelled out."""


@dataclass(frozen=True)
class _Parameter:
    """One parameter: its name in the tool's schema, that in Python, and its schema."""

    name: str
    alias: str
    schema: Schema
    required: bool


class ToolSignature:
    """A tool as a Python function.

    Args:
        tool: The tool.
        alias: Its name in code.
    """

    def __init__(self, tool: ToolDefinition, alias: str) -> None:
        self.tool, self.alias = tool, alias
        properties = tool.parameters.get("properties")
        self._properties: Schema = properties if isinstance(properties, Mapping) else {}
        required = tool.parameters.get("required")
        self._required = set(required) if isinstance(required, Sequence) else set()
        self._parameters = self._read_parameters()
        self._open = bool(tool.parameters.get("additionalProperties", "properties" not in tool.parameters))

    def text(self) -> str:
        """Return the signature with a docstring, as the model reads it."""
        about = [self.tool.description.strip() or "(not described)"]
        if self.alias != self.tool.name:
            about[0] += f" (the tool {self.tool.name!r})"
        described = [line for one in self._parameters if (line := self._described(one))]
        if described:
            about += ["", "Args:", *(textwrap.indent(line, "    ") for line in described)]
        body = "\n".join(about).replace("\\", "\\\\").replace('"""', "'''")
        docstring = f'"""{body}"""' if len(about) == 1 and "\n" not in body else f'"""{body}\n"""'
        return f"{self.line()}:\n{textwrap.indent(docstring, '    ')}"

    def line(self) -> str:
        """Return the signature alone, on one line."""
        shown = [self._shown(one) for one in self._parameters] + ([f"**{_MORE}"] if self._open else [])
        schema = self.tool.output_schema
        returns = "Any" if schema is None else python_type(schema, schema)
        return f"def {self.alias}({', '.join(shown)}) -> {returns}"

    def arguments(self, positional: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """Return a call's arguments under the names of the tool's schema.

        None for an optional parameter that takes no None is the same as leaving it out.

        Raises:
            TypeError: They do not fit the signature; the message is Python's, and the signature.
        """
        kinds = inspect.Parameter
        takes = [
            kinds(one.alias, kinds.POSITIONAL_OR_KEYWORD, default=kinds.empty if one.required else None)
            for one in self._parameters
        ]
        if self._open:
            takes.append(kinds(_MORE, kinds.VAR_KEYWORD))
        by_name = {one.name: one.alias for one in self._parameters}
        try:
            bound = inspect.Signature(takes).bind(*positional, **{by_name.get(key, key): named[key] for key in named})
        except TypeError as error:
            raise TypeError(f"{self.alias}(): {error}; the signature is {self.line()[4:]}") from None
        given = {one.name: bound.arguments[one.alias] for one in self._parameters if one.alias in bound.arguments}
        kept = {one.name: given[one.name] for one in self._parameters if one.name in given and self._meant(one, given)}
        return kept | dict(bound.arguments.get(_MORE, {}))

    def _meant(self, parameter: _Parameter, given: Mapping[str, Any]) -> bool:
        if given[parameter.name] is not None or parameter.required:
            return True
        return "None" in python_type(parameter.schema, self.tool.parameters)

    def _read_parameters(self) -> list[_Parameter]:
        aliases = python_names(self._properties, KEYWORDS | {_MORE})
        found = [
            _Parameter(name, aliases[name], schema if isinstance(schema, Mapping) else {}, name in self._required)
            for name, schema in self._properties.items()
        ]
        return sorted(found, key=lambda one: not one.required)

    def _shown(self, parameter: _Parameter) -> str:
        typed = f"{parameter.alias}: {python_type(parameter.schema, self.tool.parameters)}"
        return typed if parameter.required else f"{typed} = {parameter.schema.get('default')!r}"

    def _described(self, parameter: _Parameter) -> str:
        schema = resolved(parameter.schema, self.tool.parameters)
        rules = [
            text.format(value if isinstance(value, str) else json.dumps(value))
            for key, text in _BOUNDS.items()
            if (value := schema.get(key)) is not None
        ]
        told = " ".join(str(parameter.schema.get("description") or schema.get("description") or "").split())
        if parameter.alias != parameter.name:
            rules.insert(0, f"the parameter {parameter.name!r}")
        told += f" ({', '.join(rules)})" if rules else ""
        return f"{parameter.alias}: {told.strip()}" if told else ""


def code_signature(tool: ToolDefinition, alias: str | None = None) -> str:
    """Return a tool as a Python signature with a docstring; `alias` is its name where its own is no Python name."""
    return ToolSignature(tool, alias or python_names([tool.name])[tool.name]).text()


def python_type(schema: object, root: Schema, depth: int = 0) -> str:
    """Return a JSON Schema as a Python type: `Literal` for enums, the keys of objects spelled out.

    Args:
        schema: The schema.
        root: Where `#/$defs/…` is looked up.
        depth: How deep it is nested; beyond a few levels, and in a recursive schema, the type is `Any`.
    """
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return "Any"
    schema = resolved(schema, root)
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return f"Literal[{', '.join(map(repr, schema['enum']))}]"
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            return _union([python_type(one, root, depth + 1) for one in schema[key]])
    kind = schema.get("type")
    if isinstance(kind, list):
        return _union([python_type({**schema, "type": one}, root, depth) for one in kind])
    if kind == "array":
        return f"list[{python_type(schema.get('items'), root, depth + 1)}]"
    if kind == "object" or "properties" in schema:
        return _object(schema, root, depth)
    return _PLAIN.get(str(kind), "Any")


def _object(schema: Schema, root: Schema, depth: int) -> str:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        values = schema.get("additionalProperties")
        return f"dict[str, {python_type(values, root, depth + 1)}]" if isinstance(values, Mapping) else "dict"
    required = schema.get("required") or ()
    keys = [
        f"{key!r}: {python_type(one, root, depth + 1)}{'' if key in required else ' (optional)'}"
        for key, one in properties.items()
    ]
    return f"{{{', '.join(keys)}}}"


def _union(types: Sequence[str]) -> str:
    distinct = [one for one in dict.fromkeys(types) if one != "None"]
    if "Any" in distinct:
        return "Any"
    return " | ".join([*distinct, *(["None"] if "None" in types else [])])


def resolved(schema: Schema, root: Schema) -> Schema:
    """Return a schema with its local `$ref` followed; what stands beside it is kept."""
    for _ in range(_DEEPEST):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return schema
        found: object = root
        for part in reference[2:].split("/"):
            found = found.get(part) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping):
            return {}
        schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
    return {}
