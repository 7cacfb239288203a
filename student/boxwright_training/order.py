"""The order in which rows are seen, decided before training: one seed, one order, and a resume is a place in it."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from boxwright_training.kinds import Kind
from boxwright_training.recipes import Curriculum, Method
from boxwright_training.spans import Row

__all__ = ["complexity", "draws", "evened", "shares", "weights"]


def complexity(
    rows: Sequence[Row], curriculum: Curriculum, entropies: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return how complex each row is, [rows], with mean 0.

    A weighted sum of the tokens of reasoning, the number of turns and the teacher's mean entropy, as in Structured
    Agent Distillation (arXiv 2505.13820, equation 7 of its first version), each standardised over the rows here, since
    tokens, counts and nats have no unit in common.
    """
    measures = [
        (curriculum.reason, np.array([row.count(Kind.REASON) for row in rows], np.float64)),
        (curriculum.act, np.array([row.turns for row in rows], np.float64)),
    ]
    if entropies is not None:
        measures.append((curriculum.entropy, entropies))
    return sum((weight * _standardised(values) for weight, values in measures), np.zeros(len(rows)))


def draws(
    complexities: NDArray[np.float64], count: int, curriculum: Curriculum, seed: int, shares: NDArray[np.float64]
) -> list[int]:
    """Return the row of each of `count` draws.

    Within an epoch (the sum of the shares) every row comes as often as its share says, the fraction by chance.
    """
    chance = random.Random(f"order/{seed}")
    if curriculum.order == "paced":
        return _paced(complexities, count, curriculum.start, chance)
    found: list[int] = []
    while len(found) < count:
        epoch = [row for row, share in enumerate(shares) for _ in range(_times(share, chance))]
        chance.shuffle(epoch)
        if curriculum.order == "easy-first":
            epoch.sort(key=lambda row: complexities[row])
        found += epoch or [chance.randrange(len(shares))]
    return found[:count]


def evened(order: Sequence[int], lengths: Sequence[int], batch: int) -> list[int]:
    """Return the draws with those of each step, `batch` of them, by length: padded less, and the same in sum."""
    steps = (order[at : at + batch] for at in range(0, len(order), batch))
    return [number for step in steps for number in sorted(step, key=lambda number: lengths[number])]


def shares(methods: Sequence[Method], wanted: Mapping[Method, float]) -> NDArray[np.float64]:
    """Return how often each row is drawn in an epoch, 1 on the mean, so that methods come in the wanted shares.

    Equal shares are as the data are.
    """
    if len(set(wanted.values())) == 1:
        return np.ones(len(methods))
    present = {method: methods.count(method) for method in wanted if method in methods}
    total = sum(wanted[method] for method in present)
    return np.array([wanted[method] / total * len(methods) / present[method] for method in methods])


def weights(complexities: NDArray[np.float64], strength: float, progress: float) -> NDArray[np.float32]:
    """Return each row's weight in the loss at a share of the run: exp(-strength * (1 - progress) * complexity).

    1 on the mean over all rows, so that the learning rate keeps its meaning.
    """
    exponents = -strength * (1 - progress) * complexities
    raw = np.exp(exponents - exponents.max())  # the largest is 1: however strong, none is infinite
    weighed: NDArray[np.float32] = (raw / raw.mean()).astype(np.float32)
    return weighed


def _paced(complexities: NDArray[np.float64], count: int, start: float, chance: random.Random) -> list[int]:
    """Draw from the easiest share c(t) = sqrt(t (1 - c0^2) + c0^2) of the rows (Platanios et al. 2019, equation 6).

    Rows are drawn without putting back until none of the share is left, so none waits long.
    """
    easiest = np.argsort(complexities, kind="stable").tolist()
    found: list[int] = []
    fresh: list[int] = []
    known = 0
    for number in range(count):
        share = math.sqrt(number / count * (1 - start**2) + start**2)
        size = max(1, math.ceil(share * len(easiest)))
        fresh += easiest[known:size]
        known = max(known, size)
        if not fresh:
            fresh = easiest[:known]
        place = chance.randrange(len(fresh))
        fresh[place], fresh[-1] = fresh[-1], fresh[place]
        found.append(fresh.pop())
    return found


def _times(share: float, chance: random.Random) -> int:
    whole = int(share)
    return whole + (chance.random() < share - whole)


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)
