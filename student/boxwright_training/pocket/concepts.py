"""What a tool is about before it gets a name and a schema: a concept, and the grammar files that hold the domains.

A file of `domains/` holds domains, their concepts, and wordings:

    [geometry ~math]                                  a domain; after ~, what it must not be mixed with
    calc: area of a triangle | triangle area ; base=num:meters, height=num:meters ; num
     ? how big is a triangle with base {base} and height {height}
     > ...                                            wordings: a question, a command; [...] only if its slots are given
     : Half the base times the height.                a description
     - base: The side below.                          what a slot is
     = geometry__triangle                             the name that the tool has in a box of ours
The line of a concept is: verbs (a class below, or verbs/with/slashes), what is done to what, slots (`?` if optional,
`!` if optional and always said), result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Literal

from boxwright_training.pocket.kinds import KINDS
from boxwright_training.pocket.lexicon import Sense, Split, split_of
from boxwright_training.pocket.rows import words_in
from boxwright_training.pocket.slots import Slot

Mode = Literal["?", ">"]
_CLASSES = {
    # verbs in names and descriptions, verbs in commands, whether "what is the …" asks for it, what results
    "calc": (
        words_in("calculate compute get find determine calc"),
        ["calculate", "compute", "work out", "find", "determine", "figure out", "tell me", "give me"],
        "num",
    ),
    "get": (
        words_in("get fetch retrieve lookup show find read"),
        ["get", "fetch", "look up", "show me", "find", "tell me", "give me", "retrieve", "check"],
        "text",
    ),
    "list": (words_in("list get show fetch"), ["list", "show me", "give me", "list all", "fetch"], "list"),
    "search": (words_in("search find query"), ["search for", "find", "look for", "find me"], "list"),
    "create": (words_in("create add make"), ["create", "add", "make", "set up"], "done"),
    "delete": (words_in("delete remove"), ["delete", "remove", "get rid of"], "done"),
    "update": (words_in("update change edit modify"), ["update", "change", "edit", "modify"], "done"),
    "check": (words_in("check verify test"), ["check", "verify"], "bool"),
}
_ASKED = {"calc", "get"}
_FOLDER = Path(__file__).parent / "domains"
BOXES = ("number puzzles", "arithmetic", "dates")
"""Domains of our own library, which the shipped model must know: never test domains."""


@dataclass(frozen=True)
class Concept:
    """What a tool does, in words, with no name or schema yet."""

    domain: str
    verbs: tuple[str, ...]
    """For names and descriptions."""
    commands: tuple[str, ...]
    """For questions that tell what to do."""
    things: tuple[str, ...]
    """What is done it to, with no article where `asked`: "area of a triangle"."""
    asked: bool
    """Whether "what is the <thing>" asks for it."""
    slots: tuple[Slot, ...]
    result: str
    wordings: tuple[tuple[Mode, str], ...] = ()
    descriptions: tuple[str, ...] = ()
    apart: frozenset[str] = frozenset()
    """Tags of domains that could answer the same questions."""
    senses: tuple[Sense, ...] = field(default=(), compare=False)
    """For a concept out of the lexicon: the verb or attribute, and the noun."""
    kept: Literal["", "verb", "noun"] = ""
    """Which of the two senses every question names; it may say the other in other words."""
    fixed: str = ""
    """The name of a tool of ours."""
    about: tuple[tuple[str, str], ...] = ()
    """Descriptions of slots, by name."""

    def needs(self) -> tuple[Slot, ...]:
        return tuple(slot for slot in self.slots if not slot.optional)

    def with_slot(self, slot: Slot, thing: str) -> Concept:
        """Return a twin that needs one thing more, and says so in its name."""
        return replace(
            self,
            slots=(*self.slots, slot),
            things=tuple(f"{old} {thing}" for old in self.things),
            descriptions=(),
            fixed="",
        )


@cache
def domains() -> dict[str, tuple[Concept, ...]]:
    """Return the concepts of every domain, by its name.

    Raises:
        ValueError: A line of a grammar file cannot be read.
    """
    found: dict[str, tuple[Concept, ...]] = {}
    for path in sorted(_FOLDER.glob("*.txt")):
        for name, concepts in _read(path):
            if name in found:
                raise ValueError(f"{path.name}: the domain {name!r} stands there twice; give it another name")
            found[name] = concepts
    return found


def domain_split(name: str) -> Split:
    """Say to which split a domain belongs."""
    return "train" if name in BOXES else split_of(f"domain {name}")


def _read(path: Path) -> Iterator[tuple[str, tuple[Concept, ...]]]:
    text = re.sub(r"(?m)^#.*\n", "", path.read_text(encoding="utf-8"))
    for block in re.split(r"(?m)^\[", text)[1:]:
        head, _, body = block.partition("]\n")
        name, *tags = head.split(" ~")
        apart = frozenset({name, *tags})
        try:
            concepts = tuple(_concept(name, apart, lines) for lines in re.split(r"\n(?=\S)", body.strip("\n")))
        except (ValueError, KeyError) as error:
            raise ValueError(f"{path.name}, domain {name!r}: {error}") from error
        yield name, concepts


def _concept(domain: str, apart: frozenset[str], lines: str) -> Concept:
    head, *rest = lines.split("\n")
    kind, _, line = head.partition(": ")
    things, slots, result = (*line.split(" ;"), "", "")[:3]
    verbs, commands, default = _CLASSES.get(kind, (kind.split("/"), kind.split("/"), "done"))
    concept = Concept(
        domain=domain,
        verbs=tuple(verbs),
        commands=tuple(commands),
        things=tuple(thing.strip() for thing in things.split("|")),
        asked=kind in _ASKED,
        slots=tuple(_slot(text) for text in slots.split(",") if text.strip()),
        result=result.strip() or default,
        wordings=tuple((_mode(row), row[3:]) for row in rest if row[1] in "?>"),
        descriptions=tuple(row[3:].replace("\\n", "\n") for row in rest if row[1] == ":"),
        fixed="".join(row[3:] for row in rest if row[1] == "="),
        about=tuple((name, about) for row in rest if row[1] == "-" for name, about in [row[3:].split(": ", 1)]),
        apart=apart,
    )
    _check(concept, rest)
    return concept


def _mode(row: str) -> Mode:
    return "?" if row[1] == "?" else ">"


def _slot(text: str) -> Slot:
    name, _, kind = text.strip().partition("=")
    kind, _, detail = kind.partition(":")
    if kind not in KINDS:
        raise ValueError(f"the slot {text.strip()!r} has no kind of {', '.join(KINDS)}")
    return Slot(name.rstrip("?!"), kind, detail, name.endswith(("?", "!")), name.endswith("!"))


def _check(concept: Concept, rows: list[str]) -> None:
    names = {slot.name for slot in concept.slots}
    for row in rows:
        unknown = set(re.findall(r"{(\w+)}", row)) - names
        if unknown or not re.match(r" [?>:=-] \S", row):
            raise ValueError(
                f"the line {row!r} is no ' ? ', ' > ', ' : ', ' - ' or ' = ' line of the slots {sorted(names)}"
            )
