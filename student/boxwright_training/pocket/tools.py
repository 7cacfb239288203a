"""Makes a tool of a concept: its name in some style, its description, its schema with the noise that real ones have."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any

from boxwright_training.pocket.concepts import Concept
from boxwright_training.pocket.kinds import KINDS
from boxwright_training.pocket.rows import words_in
from boxwright_training.pocket.slots import Draw, Slot
from boxwright_training.pocket.values import Given, chance, made_word

_SMALL = set(words_in("a an the of for in to on at by with from and or is its their between whether into all"))
_SHORT = {
    "temperature": "temp", "number": "num", "numbers": "nums", "maximum": "max", "minimum": "min", "message": "msg",
    "quantity": "qty", "amount": "amt", "address": "addr", "description": "desc", "language": "lang", "time": "t",
    "destination": "dest", "source": "src", "identifier": "id", "password": "pwd", "distance": "dist", "average": "avg",
    "category": "cat", "document": "doc", "directory": "dir", "expression": "expr", "length": "len", "width": "w",
    "height": "h", "latitude": "lat", "longitude": "lon", "velocity": "v", "frequency": "freq", "percentage": "pct",
}  # fmt: skip
_ALIASES = {
    "city": ("location", "place", "city name", "town", "location"),
    "country": ("country name", "nation"),
    "name": ("full name", "title"),
    "text": ("content", "input text", "string", "input", "sentence"),
    "path": ("file path", "filename", "file", "file name"),
    "url": ("link", "page url", "web address"),
    "query": ("q", "search query", "keywords", "search term"),
    "amount": ("value", "quantity", "how much"),
    "number": ("n", "value", "num", "integer"),
    "numbers": ("values", "nums", "data", "number list"),
    "values": ("numbers", "data", "value list", "dataset"),
    "data": ("values", "numbers", "dataset"),
    "date": ("day", "when", "date string"),
    "time": ("at time", "clock time"),
    "unit": ("units", "measure"),
    "limit": ("max results", "count", "n"),
    "days": ("num days", "number of days"),
    "years": ("num years", "time in years", "duration years"),
    "weight": ("body weight", "mass"),
    "rate": ("interest rate", "percentage rate"),
    "principal": ("principal amount", "initial amount", "loan amount"),
    "origin": ("from city", "departure city", "source"),
    "destination": ("to city", "arrival city", "target"),
    "expression": ("expr", "formula", "input"),
    "message": ("body", "content", "message text"),
    "id": ("identifier", "record id"),
    "people": ("num people", "party size", "guests"),
    "price": ("cost", "unit price"),
}
_EXAMPLES = {"string": "example", "integer": 3, "number": 2.5}
_STYLES = ("snake", "camel", "kebab", "dotted", "pascal")


@dataclass(frozen=True)
class Param:
    """A parameter as a tool has it."""

    slot: Slot
    name: str
    form: str
    """The form that the schema asks for, of its kind's."""

    @property
    def shown(self) -> str:
        """The parameter in words, as far as its name says it."""
        if len(self.name) == 1:
            return self.slot.words
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", self.name.replace("_", " ")).lower()

    def draw(self, draw: Draw) -> Given:
        """Return a value, and how a question says it."""
        return KINDS[self.slot.kind].draw(draw, self.form, self.slot.detail)


@dataclass(frozen=True)
class Tool:
    """A concept as a tool: its function object, and its parameters."""

    concept: Concept
    function: dict[str, Any]
    params: tuple[Param, ...]

    @property
    def name(self) -> str:
        return str(self.function["function"]["name"])


@dataclass(frozen=True)
class Style:
    """How the tools of one server are written: the same for all that it shows."""

    case: str
    param_case: str
    by_domain: bool
    """Names begin with the domain: `weather.get_forecast`."""
    prefix: str
    described: float
    """How many parameters have a description, of one."""
    args_block: bool
    noise: float
    opaque: bool
    """Parameters are called x, y, a, b, and only described."""

    @classmethod
    def draw(cls, rng: random.Random, level: float) -> Style:
        if level < 0.15:
            return cls("snake", "snake", False, "", 1.0 if chance(rng, 0.7) else 0.0, False, 0.0, False)
        case = rng.choices(_STYLES, (0.62, 0.14, 0.06, 0.12, 0.06))[0]
        prefixed = chance(rng, 0.14)
        return cls(
            case=case,
            param_case="camel" if case in ("camel", "pascal") and chance(rng, 0.8) else "snake",
            by_domain=chance(rng, 0.12),
            prefix=f"{made_word(rng)}{rng.choice(('__', '__', '_', '.', '/'))}" if prefixed else "",
            described=rng.choice((0.0, 0.5, 0.9, 1.0, 1.0)),
            args_block=chance(rng, 0.08),
            noise=level if chance(rng, 0.5) else 0.0,
            opaque=chance(rng, 0.04 * level),
        )


def styled(words: list[str], case: str) -> str:
    """Return words as one name in a style: snake, camel, kebab, dotted, pascal."""
    if case in ("camel", "pascal"):
        text = "".join(word.capitalize() for word in words)
        return text[0].lower() + text[1:] if case == "camel" else text
    if case == "dotted":
        return f"{words[0]}.{'_'.join(words[1:])}" if len(words) > 1 else words[0]
    return ("-" if case == "kebab" else "_").join(words)


def name_words(rng: random.Random, concept: Concept, level: float) -> list[str]:
    """Return the words of a tool's name: the verb and what it is done to, without small words, in either order."""
    thing = concept.things[0] if level < 0.3 else rng.choice(concept.things)
    words = [word for word in re.sub(r"[^a-z0-9 ]", "", thing.lower().replace("-", " ")).split() if word not in _SMALL]
    if chance(rng, 0.06 * level):
        words = [_SHORT.get(word, word) for word in words]
    verb = concept.verbs[0] if level < 0.1 else rng.choice(concept.verbs)
    roll = rng.random()
    if concept.asked and roll < 0.2 * level:
        return words
    if roll > 0.9:
        return [*words, *verb.split()]
    return [*verb.split(), *words]


def make_tool(
    rng: random.Random, concept: Concept, style: Style, level: float, taken: set[str], ours: bool = False
) -> Tool | None:
    """Make a tool of a concept, or None where its name is taken; the new name is added to those taken.

    Where `ours` is set, and the concept is one of a box that ships, the tool is as the box has it.
    """
    fixed = concept.fixed if ours or chance(rng, 0.5) else ""
    name = fixed or _prefix(concept, style) + styled(name_words(rng, concept, level), style.case)
    name = name[:64]
    if name in taken:
        return None
    slots = list(concept.slots)
    if not fixed and chance(rng, 0.15 * level):
        rng.shuffle(slots)
    names = [slot.name for slot in slots] if fixed else _param_names(rng, slots, style, level)
    if len(set(names)) < len(names):
        return None
    params, properties = [], {}
    for slot, param_name in zip(slots, names, strict=True):
        told = dict(concept.about).get(slot.name, "") if ours or chance(rng, 0.6) else ""
        schema, form = KINDS[slot.kind].schema(rng, level, slot.detail)
        if told and ("enum" in schema or slot.kind != "enum"):  # else the description holds the choices
            schema = {key: value for key, value in schema.items() if key != "format"} | {"description": told}
            form = "iso" if slot.kind == "date" else form
        properties[param_name] = _dressed(rng, slot, schema, style, concept)
        params.append(Param(slot, param_name, form))
    function: dict[str, Any] = {"name": name}
    text = concept.descriptions[0] if ours else describe(rng, concept, level)
    if style.args_block and text:
        text += "\n\nArgs:\n" + "\n".join(f"    {param.name}: {_about(rng, param.slot, concept)}" for param in params)
    if text and (fixed or not chance(rng, 0.04 * level)):
        function["description"] = text
    function["parameters"] = _parameters(rng, properties, params, style)
    taken.add(name)
    return Tool(concept, {"type": "function", "function": function}, tuple(params))


def _param_names(rng: random.Random, slots: list[Slot], style: Style, level: float) -> list[str]:
    if style.opaque and len(slots) < 5:
        return rng.sample("abcdnpqxyz", len(slots))
    return [styled(_param_words(rng, slot, level), style.param_case) for slot in slots]


def _param_words(rng: random.Random, slot: Slot, level: float) -> list[str]:
    if slot.name in _ALIASES and chance(rng, 0.35 * level):
        return rng.choice(_ALIASES[slot.name]).split()
    words = slot.name.split("_")
    return [_SHORT.get(word, word) for word in words] if chance(rng, 0.05 * level) else words


def _prefix(concept: Concept, style: Style) -> str:
    if style.by_domain and not concept.senses:
        return concept.domain.replace(" ", "_") + ("__" if style.case == "snake" else ".")
    return style.prefix


def _parameters(rng: random.Random, properties: dict[str, Any], params: list[Param], style: Style) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    required = [param.name for param in params if not param.slot.optional]
    if required or chance(rng, 0.5):
        schema["required"] = required
    if style.noise and chance(rng, 0.4):
        schema["additionalProperties"] = False
    return schema


def _about(rng: random.Random, slot: Slot, concept: Concept) -> str:
    wording = rng.choice(KINDS[slot.kind].about)
    return _fill(wording, slot, concept)


def _fill(wording: str, slot: Slot, concept: Concept) -> str:
    words = slot.words
    text = wording.replace("{w}", words).replace("{W}", words[0].upper() + words[1:])
    return text.replace("{np}", re.sub("^(the|an?) ", "", concept.things[0]))


def _dressed(rng: random.Random, slot: Slot, schema: dict[str, Any], style: Style, concept: Concept) -> dict[str, Any]:
    """Return a parameter's schema with its description and, sometimes, what generators of schemas add."""
    if "description" in schema:
        schema["description"] = _fill(str(schema["description"]), slot, concept)
    elif style.opaque or chance(rng, style.described):
        schema["description"] = _about(rng, slot, concept)
    if style.noise and chance(rng, 0.06) and schema["type"] in _EXAMPLES and "enum" not in schema:
        schema["examples"] = [_EXAMPLES[schema["type"]]]
    if style.noise and chance(rng, 0.25):
        schema["title"] = slot.words.title()
    if slot.optional:
        _optional(rng, slot, schema, style)
    if not style.noise and chance(rng, 0.3) and len(schema) > 1:
        return dict(sorted(schema.items(), key=lambda item: item[0] != "description"))
    return schema


def _optional(rng: random.Random, slot: Slot, schema: dict[str, Any], style: Style) -> None:
    if "enum" in schema and chance(rng, 0.6):
        schema["default"] = schema["enum"][0]
    elif schema["type"] == "boolean" and chance(rng, 0.7):
        schema["default"] = False
    elif schema["type"] == "integer" and chance(rng, 0.4) and slot.kind == "int":
        schema["default"] = schema.get("minimum", 10)
    elif style.noise and chance(rng, 0.3) and "enum" not in schema and schema["type"] in ("string", "number"):
        kind = schema.pop("type")
        if chance(rng, 0.5):
            schema |= {"type": [kind, "null"], "default": None}
        else:
            schema |= {"anyOf": [{"type": kind}, {"type": "null"}], "default": None}
        return
    elif "description" in schema and chance(rng, 0.4):
        schema["description"] += rng.choice((" Optional.", " (optional)", " May be left out."))


def third(verb: str) -> str:
    """Return a verb's third person: `copy` -> `copies`."""
    first, _, rest = verb.partition(" ")
    if first.endswith(("s", "sh", "ch", "x", "z", "o")):
        first += "es"
    elif first.endswith("y") and first[-2:-1] not in "aeiou":
        first = first[:-1] + "ies"
    else:
        first += "s"
    return f"{first} {rest}" if rest else first


def describe(rng: random.Random, concept: Concept, level: float) -> str:
    """Return a description in one of the ways in which people write them."""
    if concept.descriptions and chance(rng, 0.6 if concept.fixed else 0.45):
        return rng.choice(concept.descriptions)
    thing = rng.choice(concept.things)
    thing = f"the {thing}" if concept.asked else thing
    verb = rng.choice(concept.verbs)
    given = _given(rng, concept)
    forms = [
        f"{verb.capitalize()} {thing}.",
        f"{verb.capitalize()} {thing}{given}.",
        f"{third(verb).capitalize()} {thing}",
    ]
    if level > 0.2:
        forms += [
            f"{third(verb).capitalize()} {thing}{given}.",
            f"Use this tool to {verb} {thing}.",
            f"This function {third(verb)} {thing}{given}.",
            f"Tool to {verb} {thing}{given}",
            f"Returns {thing}{given}." if concept.asked else f"Can {verb} {thing}.",
            f"{verb.capitalize()} {thing}{given}. Use it whenever someone wants to {verb} {thing}.",
        ]
    text = rng.choice(forms)
    if concept.descriptions and chance(rng, 0.3):
        text = f"{text.rstrip('.')}. {rng.choice(concept.descriptions)}"
    return text


def _given(rng: random.Random, concept: Concept) -> str:
    names = [slot.words for slot in concept.needs()]
    if not names or chance(rng, 0.3):
        return ""
    said = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    return rng.choice(
        (f" given the {said}", f" from the {said}", f" for a given {said}", f", given {said}", f" by {said}")
    )
