"""What a parameter is to the generator: its slot in a concept, its kind, and what its values are drawn with."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from boxwright_training.pocket import values as v
from boxwright_training.pocket.lexicon import Words
from boxwright_training.pocket.rows import words_in
from boxwright_training.pocket.values import Given, Json, chance

Schema = dict[str, Json]
_FIRST = words_in(
    "Anna Ben Carla David Elena Farid Grace Hugo Ines Jonas Keiko Liam Maya Noah Olga Pedro Quinn Rosa Samir "
    "Tara Uma Victor Wei Xenia Yusuf Zoe Alice Bob Carol Dmitri Emma Felix Hana Ivan Julia Kofi Lena Marco Nadia "
    "Oscar Priya Ravi"
)


@dataclass(frozen=True)
class Slot:
    """One parameter of a concept: its words (`start_date`), its kind, what the kind needs to know, optional or not."""

    name: str
    kind: str
    detail: str = ""
    optional: bool = False
    always: bool = False
    """Said in every question, though optional."""
    asked: str = ""
    """Another word for it, that questions use."""

    @property
    def words(self) -> str:
        return self.name.replace("_", " ")

    @property
    def called(self) -> str:
        """What questions call it."""
        return self.asked or self.words


@dataclass(frozen=True)
class Draw:
    """What values are drawn with."""

    rng: random.Random
    words: Words
    level: float

    def pick(self, senses: str = "nouns") -> str:
        """Return a word of the lexicon as it is written in a text."""
        return str(self.rng.choice(getattr(self.words, senses)).words[0]).replace("_", " ")

    def first_name(self) -> str:
        return self.rng.choice(_FIRST if chance(self.rng, 0.4) else self.words.first_names)

    def person(self) -> str:
        surname = self.rng.choice(self.words.surnames) if chance(self.rng, 0.8) else v.made_word(self.rng).title()
        return f"{self.first_name()} {surname}"

    def phrase(self) -> str:
        """Return a few words that mean little: a title, a note, a message."""
        noun, other, adjective = self.pick(), self.pick(), self.pick("adjectives")
        forms = (f"the {adjective} {noun}", f"{noun} and {other}", f"{adjective} {noun} for the {other}", f"{noun}")
        longer = (f"please {self.pick('verbs')} the {noun}", f"the {noun} is {adjective}", f"new {noun}, {adjective}")
        text = self.rng.choice(forms if chance(self.rng, 0.6) else longer)
        return text if chance(self.rng, 0.5) else text[0].upper() + text[1:]


@dataclass(frozen=True)
class Kind:
    """How a kind of parameter looks in a schema, and how its values come about.

    `schema` returns the schema and the form it asks for; `draw` returns a value in that form, and how it is said.
    """

    schema: Callable[[random.Random, float, str], tuple[Schema, str]]
    draw: Callable[[Draw, str, str], Given]
    about: tuple[str, ...] = ("The {w}.", "the {w}", "{W}", "The {w} to use.", "{W} of the {np}.")
    """Wordings of its description; {w} is the parameter's name in words."""
    natural: tuple[str, ...] = ()
    """Phrases that need no name, for the only parameter of its kind."""
