"""Fits arguments to a tool's schema: mends what has one reading only, and says of the rest what is wrong with it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from boxwright_student.calls.literals import read_literal
from boxwright_student.calls.names import nearest_argument, share_a_word
from boxwright_student.calls.schemas import Schema
from boxwright_student.calls.values import Decimal, Open, Unreadable, Whole, Word, Work
from boxwright_student.calls.written import Raw

_ENVELOPES = frozenset({"arguments", "args", "kwargs", "input", "inputs", "parameters", "params", "properties", "data"})
_NOTHING: Any = object()
"""Stands for a value that was dropped or cannot be mended; a problem says so."""
_SEPARATES = re.compile(r"[,;\n|]")
_WHOLE = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3}){2,}")
"""1,000,000; but 1,000 may be one."""


@dataclass
class Fitted:
    """What came of fitting: the arguments, what was changed, and what is wrong."""

    arguments: dict[str, Any] = field(default_factory=dict)
    """All of them where there is no problem, else those that fit."""
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def fit(
    tool: str,
    schema: Schema,
    value: Any,
    *,
    positional: tuple[Any, ...] = (),
    loose: bool = False,
    rebracketed: bool = False,
) -> Fitted:
    """Fit what was read as a call's arguments to a tool's schema.

    Args:
        tool: Its name.
        schema: Its schema.
        value: The arguments as they were read.
        positional: Arguments without a name, as in Python's form.
        loose: Quotes within a string were taken as text, so what seems to be an argument's name may be text too.
        rebracketed: Brackets were added, so what stands in an object may belong into one around it.
    """
    fitter = _Fitter(schema, loose, rebracketed)
    value = fitter.unwrapped(tool, value)
    if not isinstance(value, dict):
        got = _short(value)
        return Fitted(problems=[f"the arguments must be an object with {_listed(fitter.top)}, got {got}"])
    value = fitter.with_positional(dict(value), positional)
    arguments = fitter.object(value, fitter.top, "")
    if not fitter.problems:
        fitter.problems += _remaining_faults(schema, arguments)
    return Fitted(arguments, fitter.notes, fitter.problems)


def _remaining_faults(schema: Schema, arguments: dict[str, Any]) -> list[str]:
    faults = []
    for error in schema.faults(arguments):
        where = ".".join(map(str, error.absolute_path)) or "the arguments"
        faults.append(f"{where!r}: {error.message[:200]}")
        if error.absolute_path:
            arguments.pop(str(error.absolute_path[0]), None)
    return faults


class _Fitter:
    """Walks a value and a schema side by side."""

    def __init__(self, schema: Schema, loose: bool, rebracketed: bool, around: frozenset[str] = frozenset()) -> None:
        self.schema, self.loose, self.rebracketed = schema, loose, rebracketed
        self.around = around
        """Names of the objects around that these do not have yet."""
        self.top = schema.follow(schema.root)
        self.notes: list[str] = []
        self.problems: list[str] = []

    def unwrapped(self, tool: str, value: Any) -> Any:
        """Take arguments out of a string or an object around them."""
        properties = self.top.get("properties", {})
        for _ in range(3):
            if isinstance(value, str):
                found = _literal(value) if value.strip() else {}
                if not isinstance(found, dict):
                    return value
                value = self._noted("the arguments were a string", found)
            inner = _enveloped(tool, value, properties)
            if inner is _NOTHING:
                return value
            value = self._noted("the arguments were wrapped once more", inner)
        return value

    def with_positional(self, value: dict[str, Any], positional: tuple[Any, ...]) -> dict[str, Any]:
        """Give the one argument without a name the one name it can have."""
        if not positional:
            return value
        properties = [name for name in self.top.get("properties", {}) if name not in value]
        required = [name for name in self.top.get("required", ()) if name not in value]
        names = required or properties
        if (
            len(positional) == 1
            and isinstance(positional[0], dict)
            and not value
            and _fits_names(positional[0], self.top)
        ):
            self.notes.append("the arguments were given as one object")
            return dict(positional[0])
        if len(positional) == 1 and len(names) == 1:
            value[names[0]] = self._noted(f"the argument without a name read as {names[0]!r}", positional[0])
        else:
            self.problems.append(f"arguments have to be named; got {_short(list(positional))} without a name")
        return value

    def object(self, value: dict[str, Any], schema: dict[str, Any], where: str) -> dict[str, Any]:
        """Fit an object's members."""
        properties = schema.get("properties", {})
        fitted: dict[str, Any] = {}
        strayed = sorted(self.around & set(value)) if self.rebracketed else []
        if strayed:
            self.problems.append(
                f"{where!r} may hold {', '.join(strayed)}, or the object around it; close its brackets"
            )
        around, self.around = self.around, self.around | (set(properties) - set(value))
        for key, held in self._named(value, schema, where).items():
            part = self.schema.follow(properties[key] if key in properties else _other(schema))
            if held is None and self._null_left_out(key, part, schema):
                continue
            got = self.value(held, part, f"{where}.{key}" if where else key)
            if got is not _NOTHING:
                fitted[key] = got
        self.around = around
        self._require(fitted, value, schema, where)
        return fitted

    def value(self, value: Any, schema: dict[str, Any], where: str) -> Any:
        """Return a value as the schema wants it, or _NOTHING and a problem."""
        schema = self.schema.follow(schema)
        if isinstance(value, Raw):
            return self._one_reading(_readings(value), schema, where)
        parts = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        options = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if options is not None:
            return self._option(value, options, where, schema)
        if isinstance(value, Word):
            return self._misfit(where, value, schema, "a word without quotes")
        if not isinstance(value, dict | list) and self.schema.allows(schema, _plain(value)):
            return _plain(value)
        if parts:
            return self._any_of(value, [{**_rest(schema), **self.schema.follow(part)} for part in parts], schema, where)
        types = self.schema.types(schema)
        if len(types) > 1:
            return self._any_of(value, [{**schema, "type": kind} for kind in types], schema, where)
        return self._typed(value, types[0] if types else "", schema, where)

    def _typed(self, value: Any, kind: str, schema: dict[str, Any], where: str) -> Any:
        if isinstance(value, dict) and kind in ("object", ""):
            return self.object(value, schema, where)
        if isinstance(value, list) and kind in ("array", ""):
            return self._list(value, schema, where)
        mended = _MENDERS[kind](self, value, schema, where) if kind in _MENDERS else _NOTHING
        return self._misfit(where, value, schema) if mended is _NOTHING and not self._told(where) else mended

    def _list(self, value: list[Any], schema: dict[str, Any], where: str) -> Any:
        first = schema.get("prefixItems", ())
        rest = schema.get("items", {})
        items = [
            self.value(one, first[at] if at < len(first) else rest, f"{where}[{at}]") for at, one in enumerate(value)
        ]
        return _NOTHING if any(one is _NOTHING for one in items) else items

    def _string(self, value: Any, schema: dict[str, Any], where: str) -> Any:
        if isinstance(value, Whole | Decimal):
            return self._noted(f"{where!r}: {value.written} read as {_short(value.written)}", value.written)
        if type(value) is int:
            return self._changed(where, value, str(value))
        return _NOTHING

    def _integer(self, value: Any, schema: dict[str, Any], where: str) -> Any:
        found = self._number_in(value) if isinstance(value, str) else value
        if isinstance(found, float) and found.is_integer() and abs(found) < 2**53:
            found = int(found)
        return self._changed(where, value, found) if type(found) is int else _NOTHING

    def _number(self, value: Any, schema: dict[str, Any], where: str) -> Any:
        found = self._number_in(value) if isinstance(value, str) else None
        return _NOTHING if found is None else self._changed(where, value, found)

    def _number_in(self, text: str) -> int | float | None:
        text = text.strip()
        if _GROUPED.fullmatch(text):
            text = text.replace(",", "")
        if _WHOLE.fullmatch(text) and len(text) < 400:
            return int(text)
        found = float(text) if _NUMBER.fullmatch(text) else float("inf")
        return found if abs(found) != float("inf") else None

    def _boolean(self, value: Any, schema: dict[str, Any], where: str) -> Any:
        words = {"true": True, "false": False}
        found = words.get(value.strip().casefold(), _NOTHING) if isinstance(value, str) else _NOTHING
        return found if found is _NOTHING else self._changed(where, value, found)

    def _array(self, value: Any, schema: dict[str, Any], where: str) -> Any:
        if value is None:
            return _NOTHING
        if isinstance(value, str):
            found = _literal(value)
            if isinstance(found, list):
                self.notes.append(f"{where!r}: the list was a string")
                return self._list(found, schema, where)
            if _SEPARATES.search(value) or not value.strip() or value.strip()[0] in "[{(":
                return _NOTHING  # one item, several, or a list that cannot be read
        before = len(self.problems)
        item = self.value(value, self.schema.follow(schema.get("items", {})), f"{where}[0]")
        if item is _NOTHING:
            del self.problems[before:]
            return _NOTHING
        return self._changed(where, value, [item])

    def _object(self, value: Any, schema: dict[str, Any], where: str) -> Any:
        found = _literal(value) if isinstance(value, str) else None
        if not isinstance(found, dict):
            return _NOTHING
        self.notes.append(f"{where!r}: the object was a string")
        return self.object(found, schema, where)

    def _option(self, value: Any, options: list[Any], where: str, schema: dict[str, Any]) -> Any:
        plain = _plain(value)
        for option in options:
            if option == plain and isinstance(option, bool) == isinstance(plain, bool):
                return option if isinstance(value, Word) is False else self._changed(where, str(value), option)
        text = _as_text(value)
        near = [one for one in options if text is not None and _as_text(one) == text]
        return self._changed(where, plain, near[0]) if len(near) == 1 else self._misfit(where, value, schema)

    def _any_of(self, value: Any, parts: list[dict[str, Any]], schema: dict[str, Any], where: str) -> Any:
        fits: dict[str, tuple[Any, list[str]]] = {}
        exact: dict[str, tuple[Any, list[str]]] = {}
        for part in parts:
            trial = _Fitter(self.schema, self.loose, self.rebracketed, self.around)
            found = trial.value(value, part, where)
            if found is not _NOTHING and not trial.problems and self.schema.allows(part, found):
                fits.setdefault(_key(found), (found, trial.notes))
                if not trial.notes:
                    exact.setdefault(_key(found), (found, []))
        return self._only(exact or fits, value, schema, where)

    def _one_reading(self, readings: list[Any], schema: dict[str, Any], where: str) -> Any:
        """Fit a value that may be text or a literal: only one of them may fit."""
        if set(self.schema.types(schema)) == {"string"} and not {"enum", "const"} & set(schema):
            return self.value(readings[0], schema, where)
        fits: dict[str, tuple[Any, list[str]]] = {}
        for reading in reversed(readings):  # a literal needs no mending where one is wanted
            trial = _Fitter(self.schema, self.loose, self.rebracketed, self.around)
            found = trial.value(reading, schema, where)
            if found is not _NOTHING and not trial.problems and self.schema.allows(schema, found):
                fits.setdefault(_key(found), (found, trial.notes))
        return self._only(fits, str(readings[0]), schema, where)

    def _only(self, fits: dict[str, tuple[Any, list[str]]], value: Any, schema: dict[str, Any], where: str) -> Any:
        if len(fits) != 1:
            why = "it may be read as " + " or as ".join(list(fits)[:3]) if fits else ""
            return self._misfit(where, value, schema, why)
        found, notes = next(iter(fits.values()))
        self.notes += notes
        return found

    def _named(self, value: dict[str, Any], schema: dict[str, Any], where: str) -> dict[str, Any]:
        """Return the members under the schema's own names."""
        properties = schema.get("properties", {})
        free = [name for name in properties if name not in value]
        named: dict[str, Any] = {}
        for key, held in value.items():
            name = key if key in properties or _extra_wanted(schema) else nearest_argument(key, free)
            if name is None or name == key:
                if key in properties or self._extra(key, held, schema, free, where):
                    named[key] = held
            elif name in named:
                self.problems.append(f"{key!r} and another argument both look like {name!r}")
            else:
                named[name] = self._noted(f"{key!r} read as {name!r}", held)
        return named

    def _extra(self, key: str, held: Any, schema: dict[str, Any], free: list[str], where: str) -> bool:
        """Say whether a member the schema does not name stays."""
        known = ", ".join(schema.get("properties", {})) or "none"
        kin = [name for name in free if share_a_word(name, key)]
        if self.loose or (kin and not _extra_wanted(schema) and held is not None):
            near = f"; did you mean {' or '.join(map(repr, kin))}?" if kin else ""
            self.problems.append(
                f"{where + ': ' if where else ''}there is no argument {key!r} (they are: {known}){near}"
            )
            return False
        if schema.get("additionalProperties") is False or held is None:
            self.notes.append(f"{key!r} left out: there is no such argument")
            return False
        return True

    def _null_left_out(self, key: str, part: dict[str, Any], schema: dict[str, Any]) -> bool:
        if key in schema.get("required", ()) or key not in schema.get("properties", {}):
            return False
        if self.schema.allows(part, None):
            return False
        self.notes.append(f"{key!r} left out: it was null")
        return True

    def _require(self, fitted: dict[str, Any], value: dict[str, Any], schema: dict[str, Any], where: str) -> None:
        properties = schema.get("properties", {})
        for name in schema.get("required", ()):
            part = self.schema.follow(properties.get(name, {}))
            here = f"{where}.{name}" if where else name
            if name in fitted or self._told(here):
                continue
            if "default" in part and self.schema.allows(part, part["default"]) and not isinstance(value, Open):
                fitted[name] = self._noted(f"{here!r} set to its default", part["default"])
            else:
                self.problems.append(f"{here!r} is missing: {self.schema.wanted(part)}, required")

    def _changed(self, where: str, old: Any, new: Any) -> Any:
        return self._noted(f"{where!r}: {_short(old)} read as {_short(new)}", new)

    def _misfit(self, where: str, value: Any, schema: dict[str, Any], why: str = "") -> Any:
        self.problems.append(
            f"{where!r} must be {self.schema.wanted(schema)}, got {_short(value)}{f' ({why})' if why else ''}"
        )
        return _NOTHING

    def _told(self, where: str) -> bool:
        return any(problem.startswith(repr(where)[:-1]) for problem in self.problems)

    def _noted(self, note: str, value: Any) -> Any:
        self.notes.append(note)
        return value


_MENDERS: dict[str, Any] = {
    "string": _Fitter._string,
    "integer": _Fitter._integer,
    "number": _Fitter._number,
    "boolean": _Fitter._boolean,
    "array": _Fitter._array,
    "object": _Fitter._object,
}


def _enveloped(tool: str, value: Any, properties: dict[str, Any]) -> Any:
    """Return the arguments without an envelope, or _NOTHING where there is none."""
    if not isinstance(value, dict):
        return _NOTHING
    names = [key for key in value if key not in properties]
    if set(names) == {"name", "arguments"} and value["name"] == tool:
        return value["arguments"]
    if set(names) == {"type", "properties"} and value["type"] == "object":
        names.remove("type")
    if len(names) != 1 or names[0] not in (*_ENVELOPES, tool):
        return _NOTHING
    inner = value[names[0]]
    if isinstance(inner, str) and inner.strip().startswith("{"):
        inner = _literal(inner)
    beside = {key: held for key, held in value.items() if key in properties}
    fits = isinstance(inner, dict) and set(inner) <= set(properties) and not set(inner) & set(beside)
    return {**inner, **beside} if fits else _NOTHING


def _fits_names(value: dict[str, Any], schema: dict[str, Any]) -> bool:
    return bool(value) and set(value) <= set(schema.get("properties", {}))


def _extra_wanted(schema: dict[str, Any]) -> bool:
    return schema.get("additionalProperties") not in (None, False)


def _other(schema: dict[str, Any]) -> Any:
    return schema.get("additionalProperties", {})


def _rest(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        key: held for key, held in schema.items() if key not in ("anyOf", "oneOf", "default", "title", "description")
    }


def _readings(raw: str) -> list[Any]:
    """Return what text between tags may be: the text, and the literal it spells."""
    text = str(raw)
    found = _literal(text)
    return [text] if found is _NOTHING or isinstance(found, str | Word) else [text, found]


def _literal(text: str) -> Any:
    try:
        found = read_literal(text, 0, Work(len(text)))
    except Unreadable:
        return _NOTHING
    return found.value if not text[found.end :].strip() else _NOTHING


def _plain(value: Any) -> Any:
    """Return a scalar without what it remembers of its writing."""
    if isinstance(value, Whole):
        return int(value)
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if type(value) in (Word, Raw) else value


def _as_text(value: Any) -> str | None:
    if isinstance(value, Whole | Decimal):
        return value.written.casefold()
    if isinstance(value, bool | int | float):
        return str(value).casefold()
    return re.sub(r"[\s_-]+", " ", value.strip()).casefold() if isinstance(value, str) else None


def _key(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _listed(schema: dict[str, Any]) -> str:
    return ", ".join(schema.get("properties", {})) or "nothing in it"


def _short(value: Any) -> str:
    text = value if isinstance(value, Word) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:60]}… ({len(text)} characters)"
