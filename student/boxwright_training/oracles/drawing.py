"""Draws tasks from a seed: their sentences and words, which each split has its own of, and their numbers.

The sentences are templates that we wrote, in `wordings/`; what stands in them and what is said of a step is computed.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import resources
from itertools import count

from boxwright.tasks import Split, Task
from boxwright_training.oracles.episode import Episode, Made

MOST_MISSED = 1000
"""After so many draws in a row that ask what was asked before, a split counts as used up."""


class Wordings:
    """The sentences and words of one oracle.

    Args:
        name: The oracle, or `mistakes`.
    """

    def __init__(self, name: str) -> None:
        file = resources.files("boxwright_training.oracles").joinpath("wordings", f"{name}.toml")
        read = tomllib.loads(file.read_text(encoding="utf-8"))
        self.reasons: dict[str, list[str]] = read.pop("reasons")
        """What is said before a call, by its key."""
        self.prompts: dict[str, dict[str, list[str]]] = {split: own["prompts"] for split, own in read.items()}
        """A split's sentences, by the kind of task."""
        self.words: dict[str, dict[str, list[str]]] = {split: own["words"] for split, own in read.items()}
        """A split's words, by what they are for."""


@cache
def wordings(name: str) -> Wordings:
    """Return an oracle's sentences and words; the file is read once."""
    return Wordings(name)


class Draw:
    """Draws one task.

    Args:
        name: The oracle.
        split: Whose sentences and words are drawn.
        seed: What is drawn depends on nothing else.
    """

    def __init__(self, name: str, split: Split, seed: str) -> None:
        self.rng = random.Random(seed)
        self.split: Split = split
        self._wordings, self._seed = wordings(name), seed

    def word(self, pool: str) -> str:
        """Return a word of the split's."""
        return self.rng.choice(self._wordings.words[self.split][pool])

    def some(self, pool: str, number: int) -> list[str]:
        """Return several words, all different."""
        return self.rng.sample(self._wordings.words[self.split][pool], number)

    def prompt(self, kind: str, form: str = "", **values: object) -> str:
        """Return a sentence that asks a task of the kind, and behind it how to answer, from the pool `form`."""
        asked = self.rng.choice(self._wordings.prompts[self.split][kind]).format(**values)
        return f"{asked} {self.word(form)}".strip() if form else asked

    def say(self, key: str, **values: object) -> str:
        """Return what is said of a step; in one task, always in the same words."""
        said = self._wordings.reasons[key]
        return random.Random(f"{self._seed}/{key}").choice(said).format(**values)


def drawn(name: str, kinds: Sequence[Callable[[Draw], Made]], split: Split, seed: int) -> Iterator[Episode]:
    """Yield episodes of all kinds, mixed, whose prompts are all different, until no more are found."""
    asked: set[str] = set()
    missed = 0
    for number in count():
        draw = Draw(name, split, f"{name}/{split}/{seed}/{number}")
        made = draw.rng.choice(kinds)(draw)
        missed = missed + 1 if made.prompt in asked else 0
        if missed == MOST_MISSED:
            return
        if not missed:
            asked.add(made.prompt)
            yield _placed(made, name, split, f"{name}-{split}-{seed}-{len(asked)}")


def _placed(made: Made, suite: str, split: Split, name: str) -> Episode:
    task = Task(
        id=name, prompt=made.prompt, scorer=made.scorer, split=split, answer=made.answer, tolerance=made.tolerance
    )
    return Episode(suite, task, made.solve, made.boxes, seed=name)


def listed(parts: Sequence[str]) -> str:
    """Return the parts as prose lists them: with commas, and "and" before the last."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
