"""Draws episodes for the pocket student: tools, and a conversation in which they are used rightly, or rightly not.

Everything comes out of grammars and the lexicon; an episode depends on its random number generator and nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import get_args

from boxwright_training.pocket.amiss import abstain, clarify, mend
from boxwright_training.pocket.conversation import Episode, EpisodeKind, Evidence, Talk, said_of, target
from boxwright_training.pocket.kinds import KINDS
from boxwright_training.pocket.lexicon import Lexicon, Split
from boxwright_training.pocket.questions import core, draw_given
from boxwright_training.pocket.scene import NoFit, Pool, Scene, set_scene
from boxwright_training.pocket.several import SINGLE, chain, parallel
from boxwright_training.pocket.slots import Slot
from boxwright_training.pocket.tools import Tool
from boxwright_training.pocket.values import Given, chance

__all__ = ["KIND_NAMES", "Episode", "EpisodeKind", "Evidence", "Generator"]

KIND_NAMES: tuple[EpisodeKind, ...] = get_args(EpisodeKind)
_WEIGHTS = {"call": 52, "parallel": 8, "chain": 9, "follow_up": 6, "mend": 4, "abstain": 16, "clarify": 5}
_TRIES = 60


def _call(scene: Scene) -> Episode:
    tool, talk = target(scene), Talk(scene)
    given = draw_given(scene.draw, tool)
    talk.ask(*core(scene.draw, tool, said_of(given)))
    talk.call((tool, given))
    if chance(scene.rng, 0.75):
        talk.finish(tool, given)
    return talk.episode("call")


def _follow_up(scene: Scene) -> Episode:
    """A call, its answer, and a second request that builds on the first or asks for another tool."""
    tool, talk, draw = target(scene), Talk(scene), scene.draw
    given = draw_given(draw, tool)
    talk.ask(*core(draw, tool, said_of(given)))
    talk.call((tool, given))
    talk.finish(tool, given)
    again = [param for param in tool.params if param.slot.name in given and param.slot.kind != "bool"]
    if again and chance(scene.rng, 0.6):
        param = scene.rng.choice(again)
        value = param.draw(draw)
        if value[0] == given[param.slot.name][0]:
            raise NoFit
        given = given | {param.slot.name: value}
        talk.user(_and_now(scene, tool, param.slot, value[1], given))
    else:
        others = [other for other in scene.tools if other is not tool]
        if not others:
            raise NoFit
        tool = scene.rng.choice(others)
        if sum(other.concept.things == tool.concept.things for other in others) > 1:
            raise NoFit
        given = draw_given(draw, tool)
        # In its own words: another wording might fit the first tool as well, which it was drawn to look like.
        talk.ask(*core(draw, tool, said_of(given), plain=True))
    talk.call((tool, given))
    if chance(scene.rng, 0.7):
        talk.finish(tool, given)
    return talk.episode("follow_up")


def _and_now(scene: Scene, tool: Tool, slot: Slot, said: str, given: Mapping[str, Given]) -> str:
    kinds = [other.kind for other in tool.concept.slots if other.name in given]
    forms = [
        f"Now with {slot.words} {said}.",
        f"The same with {slot.words} {said}, please.",
        f"And if the {slot.words} is {said}?",
    ]
    if kinds.count(slot.kind) == 1:
        forms += [f"And {phrase.replace('{v}', said)}?" for phrase in KINDS[slot.kind].natural]
        if len(given) == 1 or slot.kind in SINGLE:
            forms += [f"What about {said}?", f"And {said}?", f"How about {said}?"]
    return scene.rng.choice(forms)


_MAKERS: dict[EpisodeKind, Callable[[Scene], Episode]] = {
    "call": _call,
    "parallel": parallel,
    "chain": chain,
    "follow_up": _follow_up,
    "mend": mend,
    "abstain": abstain,
    "clarify": clarify,
}


class Generator:
    """Draws episodes with the words of one lexicon: the same ones everywhere for the same random numbers."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._pools: dict[Split, Pool] = {"train": Pool.of("train"), "test": Pool.of("test")}

    def episode(
        self,
        rng: random.Random,
        split: Split,
        *,
        tools: int | None = None,
        kind: EpisodeKind | None = None,
        level: float = 1.0,
    ) -> Episode:
        """Draw an episode.

        Args:
            rng: Where all chance comes from; `random.Random(f"{seed}/{index}")` makes an episode one can ask for again.
            split: Words, domains and wordings of which split.
            tools: How many tools are shown; by the level otherwise. Parallel calls and chains show two at least.
            kind: Only this kind of episode.
            level: From 0 (one or two tools, plain and short) to 1 (everything).

        Raises:
            ValueError: The lexicon or the domains are too small to draw from.
        """
        names, weights = zip(*_WEIGHTS.items(), strict=True)
        if level < 0.15:
            names, weights = ("call", "abstain"), (85, 15)
        chosen = kind or rng.choices(names, weights)[0]
        for _ in range(_TRIES):
            scene = set_scene(rng, self._lexicon, self._pools, split, tools, level)
            try:
                made = _MAKERS[chosen](scene)
            except NoFit:
                continue
            if made.tools:
                return made
        raise ValueError(f"no episode of kind {chosen!r} with {tools!r} tools could be drawn in {_TRIES} tries")
