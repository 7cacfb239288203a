"""Sets the scene of an episode: the tools that are shown, the one or ones meant, and those that only look like it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from boxwright_training.pocket.concepts import BOXES, Concept, domain_split, domains
from boxwright_training.pocket.lexicon import Lexicon, Split
from boxwright_training.pocket.slots import Draw, Slot
from boxwright_training.pocket.tools import Style, Tool, make_tool
from boxwright_training.pocket.values import chance
from boxwright_training.pocket.wordnet_tools import make_concept, near_miss

_TWINS = (
    (Slot("date", "date"), "on a given date"),
    (Slot("city", "city"), "in a given city"),
    (Slot("user_id", "id"), "of a user"),
    (Slot("language", "language"), "in another language"),
    (Slot("account", "id"), "with an account"),
    (Slot("country", "country"), "by country"),
    (Slot("year", "year"), "in a year"),
)
_COUNTS = (
    *((1, 0.12), (2, 0.12), (3, 0.11), (4, 0.22), (5, 0.09), (6, 0.08)),
    *((8, 0.1), (11, 0.06), (16, 0.07), (24, 0.03)),
)
_MADE: dict[Split, float] = {"train": 0.3, "test": 0.45}
"""Share of concepts that are made of the lexicon. These are soon learned; it is the curated ones that are wanting."""
_MOUNTED = 0.1
"""How likely a training episode is over boxes that ship, as a server shows them: one, or all."""
_BOXES = 0.12
"""Share of training concepts, of the curated, that our own boxes have."""


class NoFit(Exception):
    """What was drawn makes no sound episode; draw again."""


@dataclass(frozen=True)
class Pool:
    """The curated concepts of a split."""

    names: tuple[str, ...]
    by_domain: dict[str, tuple[Concept, ...]]

    @classmethod
    def of(cls, split: Split) -> Pool:
        found = {name: concepts for name, concepts in domains().items() if domain_split(name) == split}
        return cls(tuple(found), found)


@dataclass
class Scene:
    """What an episode is made of while it is made."""

    draw: Draw
    split: Split
    pool: Pool
    style: Style
    count: int
    """How many tools are shown."""
    boxes: tuple[str, ...] = ()
    """Of which boxes that ship the tools are, as a server shows them: all of these and no others. None: any tools."""
    taken: set[str] = field(default_factory=set)
    tools: list[Tool] = field(default_factory=list)
    barred: set[str] = field(default_factory=set)
    """Tags of domains, and words of the lexicon, that no further tool may come from: it could do the same."""

    @property
    def rng(self) -> random.Random:
        return self.draw.rng

    def add(self, concept: Concept) -> Tool:
        """Show a tool of the concept.

        Raises:
            NoFit: Its name is taken.
        """
        ours = bool(self.boxes and concept.fixed)
        tool = make_tool(self.rng, concept, self.style, self.draw.level, self.taken, ours)
        if tool is None:
            raise NoFit
        self.tools.append(tool)
        return tool

    def bar(self, concept: Concept) -> None:
        """Keep what could do the same as this concept from the tools to come."""
        self.barred |= concept.apart
        self.barred |= {word for sense in concept.senses for word in sense.words}

    def free(self, concept: Concept) -> bool:
        words = {word for sense in concept.senses for word in sense.words}
        return not (concept.apart | words) & self.barred

    def concept(self, made: float | None = None) -> Concept:
        """Draw a concept: made of the lexicon with the probability `made` (the split's own), else of a domain."""
        if self.boxes:
            return self.rng.choice([one for one in self.pool.by_domain[self.rng.choice(self.boxes)] if one.fixed])
        if chance(self.rng, _MADE[self.split] if made is None else made):
            return make_concept(self.draw)
        if self.split == "train" and chance(self.rng, _BOXES):
            return self.rng.choice(self.pool.by_domain[self.rng.choice(BOXES)])
        return self.rng.choice(self.pool.by_domain[self.rng.choice(self.pool.names)])

    def siblings(self, concept: Concept) -> Sequence[Concept]:
        """Return what else the concept's domain holds; none for one made of the lexicon."""
        mine = self.pool.by_domain.get(concept.domain, ())
        return [
            other for other in mine if other.things != concept.things and not set(other.things) & set(concept.things)
        ]

    def fill(self, targets: Sequence[Concept], near: float = 0.55) -> None:
        """Show distractors up to the count, none of which could do what the targets do; then shuffle."""
        for concept in targets:
            self.bar(concept)
        if self.boxes:
            self._mount_boxes()
        if not any("broad" in concept.apart for concept in targets):
            self.barred.add("broad")
        for _ in range(4 * self.count):
            if len(self.tools) >= self.count:
                break
            if near and chance(self.rng, near) and targets:
                found = self._near(self.rng.choice(targets))
            else:
                found = self.concept(0.35)
                found = found if self.free(found) else None
            if found and not self._shown(found):
                tool = make_tool(self.rng, found, self.style, self.draw.level, self.taken)
                if tool:
                    self.tools.append(tool)
        self.rng.shuffle(self.tools)

    def _mount_boxes(self) -> None:
        """Show every other tool of the boxes, as a server over them does."""
        for name in self.boxes:
            for concept in self.pool.by_domain[name]:
                if concept.fixed and concept.fixed not in self.taken:
                    self.add(concept)
        self.count = len(self.tools)

    def _shown(self, concept: Concept) -> bool:
        """Say whether a tool is shown already that does the same."""
        return any(
            tool.concept.domain == concept.domain and set(tool.concept.things) & set(concept.things)
            for tool in self.tools
        )

    def _near(self, concept: Concept) -> Concept | None:
        """Return something that looks like the concept and does another thing, or None."""
        if concept.senses:
            return near_miss(self.draw, concept)
        if chance(self.rng, 0.15):
            return self.twin(concept)
        siblings = self.siblings(concept)
        return self.rng.choice(siblings) if siblings else None

    def twin(self, concept: Concept) -> Concept | None:
        """Return the concept with one required slot more, of a kind that it has not, or None."""
        slot, thing = self.rng.choice(_TWINS)
        kinds = {other.kind for other in concept.slots}
        clash = slot.kind in kinds or slot.name in {other.name for other in concept.slots}
        return None if clash or concept.fixed else concept.with_slot(slot, thing)

    def functions(self) -> list[dict[str, Any]]:
        return [tool.function for tool in self.tools]


def tool_count(rng: random.Random, level: float) -> int:
    """Draw how many tools an episode shows: 1 or 2 at level 0, up to 24 at level 1."""
    most = 2 + 22 * level
    counts, weights = zip(*[(count, weight) for count, weight in _COUNTS if count <= most], strict=True)
    return int(rng.choices(counts, weights)[0])


def set_scene(
    rng: random.Random, lexicon: Lexicon, pools: dict[Split, Pool], split: Split, count: int | None, level: float
) -> Scene:
    """Return an empty scene."""
    draw = Draw(rng, lexicon.of(split), level)
    mounted = split == "train" and count is None and level > 0.3 and chance(rng, _MOUNTED)
    boxes = (BOXES if chance(rng, 0.5) else (rng.choice(BOXES),)) if mounted else ()
    shown = count or tool_count(rng, level)
    return Scene(draw, split, pools[split], Style.draw(rng, level), shown, boxes)
