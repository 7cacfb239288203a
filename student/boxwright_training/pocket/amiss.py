"""Episodes in which something is missing or goes wrong: no tool fits, an argument lacks, a call fails."""

from __future__ import annotations

import random
from collections.abc import Mapping

from boxwright_training.pocket.concepts import Concept
from boxwright_training.pocket.conversation import Episode, Talk, said_of, target
from boxwright_training.pocket.lexicon import Split
from boxwright_training.pocket.questions import core, draw_given
from boxwright_training.pocket.scene import NoFit, Scene
from boxwright_training.pocket.slots import Slot
from boxwright_training.pocket.talk import abstention, chat
from boxwright_training.pocket.tools import Tool
from boxwright_training.pocket.values import Given, chance, made_word
from boxwright_training.pocket.wordnet_tools import make_concept, near_miss

_FAR: dict[Split, float] = {"train": 0.7, "test": 0.55}
"""Share of abstentions whose tools are far from what is asked: with more near ones it refuses what it can do."""
_PASSING = ("timed out, try again", "the service is busy, try again", "connection lost, please try again")


def mend(scene: Scene) -> Episode:
    """A call that fails: mended where the error says how, else reported."""
    tool, talk, rng = target(scene), Talk(scene), scene.rng
    given = draw_given(scene.draw, tool)
    talk.ask(*core(scene.draw, tool, said_of(given)))
    talk.call((tool, given))
    texts = [
        param
        for param in tool.params
        if _text_of(given, param.slot) and param.slot.kind in ("made", "id", "city", "word")
    ]
    roll = rng.random()
    if texts and roll < 0.45:
        param = rng.choice(texts)
        error, right = _mendable(rng, param.slot, _text_of(given, param.slot))
        talk.result(f"Error: {error}")
        given = given | {param.slot.name: (right, right)}
        talk.call((tool, given))
        talk.finish(tool, given)
    elif roll < 0.65:
        talk.result(f"Error: {rng.choice(_PASSING)}")
        talk.call((tool, given))
        talk.finish(tool, given)
    else:
        talk.result(f"Error: {_hopeless(rng, tool)}")
        talk.answer()
    return talk.episode("mend")


def _text_of(given: Mapping[str, Given], slot: Slot) -> str:
    value = given[slot.name][0] if slot.name in given else None
    return value if isinstance(value, str) else ""


def _mendable(rng: random.Random, slot: Slot, wrong: str) -> tuple[str, str]:
    """Return an error that says how to mend a text argument, and the mended argument."""
    place = rng.randrange(len(wrong))
    near = rng.choice(
        (wrong[:place] + wrong[place].swapcase() + wrong[place + 1 :], f"{wrong}-{rng.randint(1, 99)}", wrong.upper())
    )
    near = near if near != wrong else f"{wrong}_{made_word(rng)}"
    forms = [
        (f"no {slot.words} {wrong!r}, did you mean {near!r}?", near),
        (f"unknown {slot.words} {wrong!r}; the closest is {near!r}", near),
    ]
    if " " in wrong:
        forms.append((f"{slot.words} must not contain spaces, use _ instead", wrong.replace(" ", "_")))
    if wrong != wrong.upper():
        forms.append((f"{slot.words} must be upper case, got {wrong!r}", wrong.upper()))
    return rng.choice(forms)


def _hopeless(rng: random.Random, tool: Tool) -> str:
    thing = tool.concept.things[0]
    return rng.choice(
        (
            f"{thing} not found",
            "permission denied",
            f"not allowed for user {made_word(rng)}",
            "service unavailable",
            f"{thing} is out of stock",
            f"quota of {rng.randint(1, 500)} calls a day used up",
            f"internal error {rng.randint(400, 599)}",
        )
    )


def abstain(scene: Scene) -> Episode:
    """A request that none of the tools shown can do."""
    talk, rng = Talk(scene), scene.rng
    roll = rng.random()
    if roll < 0.3:
        scene.barred |= {"broad", "chat", "facts", "contacts", "books", "translation"}
        scene.fill([])
        talk.user(chat(scene.draw))
    else:
        concept = make_concept(scene.draw) if scene.boxes else scene.concept()
        hidden = Scene(scene.draw, scene.split, scene.pool, scene.style, 1)
        wanted = hidden.add(concept)
        _shown_without(
            scene, concept, near=roll > _FAR[scene.split] and not scene.boxes and "broad" not in concept.apart
        )
        given = draw_given(scene.draw, wanted)
        talk.ask(*core(scene.draw, wanted, said_of(given)))
    talk.says(abstention(rng))
    return talk.episode("abstain")


def _shown_without(scene: Scene, concept: Concept, near: bool) -> None:
    """Show tools none of which is the concept's: some that look like it, where `near`."""
    if near and concept.senses:
        scene.add(near_miss(scene.draw, concept))
    elif near:
        siblings = list(scene.siblings(concept))
        scene.rng.shuffle(siblings)
        for other in siblings[: scene.rng.randint(1, max(1, min(3, scene.count)))]:
            scene.add(other)
    scene.bar(concept)
    scene.barred |= {"broad"}
    scene.fill([], near=0)


def clarify(scene: Scene) -> Episode:
    """A request that lacks one required argument: it is asked for, and sometimes given."""
    tool, talk, rng = target(scene), Talk(scene), scene.rng
    needed = [param for param in tool.params if not param.slot.optional and param.slot.kind != "bool"]
    if not needed:
        raise NoFit
    given = draw_given(scene.draw, tool, 0.15)
    param = rng.choice(needed)
    value = given.pop(param.slot.name)
    if any(other is not tool and _would_do(other, tool, given) for other in scene.tools):
        raise NoFit
    mode, text = core(scene.draw, tool, said_of(given))
    talk.ask(mode, text)
    talk.says(f"Which {param.shown}?")
    if chance(rng, 0.6):
        said = value[1]
        talk.user(
            rng.choice(
                (said, said, f"{said}, please", f"The {param.slot.words} is {said}.", f"{said}.", f"It is {said}.")
            )
        )
        given = given | {param.slot.name: value}
        talk.call((tool, given))
        if chance(rng, 0.4):
            talk.finish(tool, given)
    return talk.episode("clarify")


def _would_do(other: Tool, tool: Tool, given: Mapping[str, Given]) -> bool:
    """Say whether another tool, a twin of this one, has all that it needs."""
    twins = other.concept.domain == tool.concept.domain and other.concept.wordings == tool.concept.wordings
    return twins and {slot.name for slot in other.concept.needs()} <= given.keys()
