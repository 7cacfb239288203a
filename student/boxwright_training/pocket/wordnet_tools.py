"""Concepts made of the lexicon: any verb with any noun, any attribute of any noun."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Literal

from boxwright_training.pocket.concepts import Concept, Mode
from boxwright_training.pocket.lexicon import Sense, Words
from boxwright_training.pocket.rows import words_in
from boxwright_training.pocket.slots import Draw, Slot
from boxwright_training.pocket.values import chance

_COMMON = words_in(
    "name=made id=id count=int date=date city=city email=email label=word limit=int path=path url=url title=text "
    "owner=person code=id price=money size=num weight=num note=text tags=words year=year start_time=time "
    "color=color priority=enum:low/medium/high mode=enum:fast/slow/auto format=enum:json/csv/xml message=text "
    "scores=nums ids=ints ratio=num percentage=pct country=country phone=phone token=id host=ip members=people "
    "duration=int amount=num key=word value=num threshold=num speed=signed level=int:1-10 query=text user=first "
    "dimensions=obj:width/height position=obj:x/y strict=bool:strictly/not_strictly "
    "dry_run=bool:as_a_dry_run/for_real version=made"
)
_TYPES = ("num", "num", "int", "int", "word", "word", "made", "id", "text", "nums", "words", "signed", "pct", "date")
_RESULTS = ("num", "text", "id", "list", "bool")


def _spaced(word: str) -> str:
    return word.replace("_", " ")


def _slots(rng: random.Random, words: Words, level: float) -> tuple[Slot, ...]:
    """Draw up to five slots: common ones, and nouns of the lexicon with a type at random."""
    count = rng.choice((0, 1, 1, 2)) if level < 0.2 else rng.choice((0, 1, 1, 2, 2, 2, 3, 3, 4, 5))
    found: dict[str, Slot] = {}
    for _ in range(count):
        optional = chance(rng, 0.25 * level)
        if chance(rng, 0.5):
            name, _, kind = rng.choice(_COMMON).partition("=")
            kind, _, detail = kind.partition(":")
            found[name] = Slot(name, kind, detail, optional)
        else:
            sense = rng.choice(words.attributes if chance(rng, 0.4) else words.nouns)
            slot = _odd_slot(rng, words, sense.words[0], optional)
            if len(sense.words) > 1 and chance(rng, 0.3 * level):
                slot = replace(slot, asked=_spaced(sense.words[-1]))
            found[slot.name] = slot
    return tuple(found.values())


def _odd_slot(rng: random.Random, words: Words, name: str, optional: bool) -> Slot:
    roll = rng.random()
    if roll < 0.12:
        options = {rng.choice(words.nouns if chance(rng, 0.5) else words.adjectives).words[0] for _ in range(4)}
        return Slot(name, "enum", "/".join(sorted(options)), optional)
    if roll < 0.2:
        return Slot(name, "bool", rng.choice((f"with_{name}/without_{name}", f"{name}_on/{name}_off")), optional)
    if roll < 0.25:
        pair = {rng.choice(words.attributes).words[0] for _ in range(2)}
        return Slot(name, "obj", "/".join(sorted(pair)), optional)
    return Slot(name, rng.choice(_TYPES), "", optional)


def make_concept(draw: Draw, senses: tuple[Sense, Sense] | None = None) -> Concept:
    """Make a concept of a verb and a noun, or of an attribute and a noun; of these senses, if they are given."""
    rng, words = draw.rng, draw.words
    first, noun = senses or (rng.choice(words.attributes if chance(rng, 0.3) else words.verbs), rng.choice(words.nouns))
    if first.file == "noun.attribute":
        return _attribute(draw, first, noun)
    return _action(draw, first, noun)


def _action(draw: Draw, verb: Sense, noun: Sense) -> Concept:
    rng, level = draw.rng, draw.level
    shown, thing = _spaced(verb.words[0]), _spaced(noun.words[0])
    other = _spaced(verb.words[-1])
    kept: Literal["", "verb", "noun"] = ""
    descriptions = [
        f"{shown.capitalize()} the {thing}: {verb.gloss}.",
        f"{verb.gloss.capitalize()} ({shown} the {thing}).",
    ]
    wordings: list[tuple[Mode, str]] = [(">", f"{shown} the {thing}"), (">", f"{shown} {_article(thing)} {thing}")]
    if level > 0.3:
        descriptions += [
            f"{shown.capitalize()} {_article(thing)} {thing} ({noun.gloss}).",
            f"{other.capitalize()} the {_spaced(noun.words[-1])}.",
            f"To {shown} is to {verb.gloss}. Works on {thing}: {noun.gloss}.",
        ]
        kept = "verb" if chance(rng, 0.5) else "noun"
        wordings += _meant(kept, verb, noun)
    return Concept(
        domain=f"wordnet {shown} {thing}",
        verbs=(shown,),
        commands=(shown,),
        things=(thing if chance(rng, 0.4) else f"the {thing}",),
        asked=False,
        slots=_slots(rng, draw.words, level),
        result=rng.choice(("done", "done", *_RESULTS)),
        wordings=tuple(wordings),
        descriptions=tuple(descriptions),
        senses=(verb, noun),
        kept=kept,
    )


def _meant(kept: str, verb: Sense, noun: Sense) -> list[tuple[Mode, str]]:
    """Return wordings that keep one of the two words and say the other by a synonym or by its gloss."""
    shown, thing = _spaced(verb.words[0]), _spaced(noun.words[0])
    if kept == "noun":
        return [(">", f"{_spaced(verb.words[-1])} the {thing}"), (">", f"{verb.gloss}: the {thing}")]
    return [(">", f"{shown} the {_spaced(noun.words[-1])}"), (">", f"{shown} {noun.gloss}")]


def _attribute(draw: Draw, attribute: Sense, noun: Sense) -> Concept:
    rng = draw.rng
    word, thing = _spaced(attribute.words[0]), _spaced(noun.words[0])
    other = _spaced(attribute.words[-1])
    wordings: list[tuple[Mode, str]] = [
        ("?", f"what is the {word} of the {thing}"),
        ("?", f"what {word} does the {thing} have"),
        (">", f"tell me the {thing}'s {word}"),
        (">", f"look up the {word} of the {thing}"),
    ]
    reworded = draw.level > 0.3 and other != word and chance(rng, 0.5)
    if reworded:
        wordings += [("?", f"what is the {other} of the {thing}"), (">", f"find out about the {thing}: its {other}")]
    return Concept(
        domain=f"wordnet {word} {thing}",
        verbs=tuple(words_in("get fetch measure find lookup compute")),
        commands=("get", "find", "tell me", "give me", "measure"),
        things=(f"{word} of the {thing}", f"{thing} {word}"),
        asked=True,
        slots=_slots(rng, draw.words, draw.level),
        result=rng.choice(("num", "num", "text")),
        wordings=tuple(wordings),
        descriptions=(
            f"Get the {word} of {_article(thing)} {thing}.",
            f"The {word} ({attribute.gloss}) of a given {thing}.",
            f"Returns the {thing}'s {word}, also called {other}."
            if other != word
            else f"Returns the {thing}'s {word}.",
        ),
        senses=(attribute, noun),
        kept="noun" if reworded else "",
    )


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def near_miss(draw: Draw, concept: Concept) -> Concept:
    """Return a concept that shares one of the two words of a made concept, and means another thing.

    Raises:
        ValueError: The concept is not made of the lexicon.
    """
    if not concept.senses:
        raise ValueError(f"the concept {concept.domain!r} is not made of the lexicon; only such have near misses")
    rng, words = draw.rng, draw.words
    first, noun = concept.senses
    # A question may say one of the two in other words: then the near miss differs in the other one, which it names.
    if concept.kept == "noun" or (not concept.kept and chance(rng, 0.5)):
        near = make_concept(draw, (first, _apart(rng, words.nouns, noun)))
        return replace(near, slots=concept.slots) if chance(rng, 0.4) else near
    other = _apart(rng, words.attributes if first.file == "noun.attribute" else words.verbs, first)
    return make_concept(draw, (other, noun))


def _apart(rng: random.Random, pool: tuple[Sense, ...], sense: Sense) -> Sense:
    """Return a sense of the pool that shares no word with this one, and is of another kind where the pool has kinds."""
    for _ in range(20):
        found = rng.choice(pool)
        if not set(found.words) & set(sense.words) and (found.file != sense.file or found.file == "noun.attribute"):
            return found
    raise ValueError(f"the lexicon has no sense apart from {sense.words!r}; build it from a whole WordNet")
