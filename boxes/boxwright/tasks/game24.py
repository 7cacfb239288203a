"""The suite game24: every solvable puzzle of four numbers from 1 to 13, found by exhaustion, exactly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import combinations, combinations_with_replacement
from math import gcd
from typing import TypeAlias

from boxwright.tasks.task import Split, Suite, Task

TARGET = 24
_Ratio: TypeAlias = tuple[int, int]


@lru_cache(maxsize=1)
def game24() -> Suite:
    """Return the suite: 1,362 tasks, in an order and with splits that depend on nothing but the puzzles.

    The order is that of a hash, so that a first few tasks are a fair sample; a fifth is `build`, a fifth `dev`, the
    rest `test`. A puzzle's numbers are all that tells it from another, so it is these that no two splits share.
    """
    puzzles = [numbers for numbers in combinations_with_replacement(range(1, 14), 4) if solvable(numbers)]
    puzzles.sort(key=lambda numbers: hashlib.sha256(repr(numbers).encode()).digest())
    return Suite("game24", tuple(_task(numbers, place, len(puzzles)) for place, numbers in enumerate(puzzles)))


def solvable(numbers: tuple[int, ...]) -> bool:
    """Say whether 24 can be made from two or more numbers with + - * /, each used once.

    For each way to part the numbers and each value of one part, it looks up the values the other part would need.
    """
    for left, right in _partings(tuple(sorted((number, 1) for number in numbers))):
        reachable = _reachable(right)
        if any(needed in reachable for value in _reachable(left) for needed in _partners(value)):
            return True
    return False


def _partners(value: _Ratio) -> Iterator[_Ratio]:
    """Yield each b for which a + b, a - b, b - a, a * b, a / b or b / a is the target, a being the value."""
    n, d = value
    yield _reduced(TARGET * d - n, d)
    yield _reduced(n - TARGET * d, d)
    yield _reduced(n + TARGET * d, d)
    if n:
        yield _reduced(TARGET * d, n)
        yield _reduced(TARGET * n, d)
        yield _reduced(n, TARGET * d)


@cache
def _reachable(terms: tuple[_Ratio, ...]) -> frozenset[_Ratio]:
    """Return every value the terms can make, as reduced ratios (fractions.Fraction takes seven times as long)."""
    if len(terms) == 1:
        return frozenset(terms)
    pairs = ((a, b) for left, right in _partings(terms) for a in _reachable(left) for b in _reachable(right))
    return frozenset(value for a, b in pairs for value in _values(a, b))


def _partings(terms: tuple[_Ratio, ...]) -> Iterator[tuple[tuple[_Ratio, ...], tuple[_Ratio, ...]]]:
    """Yield each way to part the terms in two, once, the smaller part first."""
    places = range(len(terms))
    for size in range(1, len(terms) // 2 + 1):
        for chosen in combinations(places, size):
            if 2 * size < len(terms) or 0 in chosen:
                yield tuple(terms[i] for i in chosen), tuple(terms[i] for i in places if i not in chosen)


def _values(a: _Ratio, b: _Ratio) -> Iterator[_Ratio]:
    (n, d), (m, e) = a, b
    yield _reduced(n * e + m * d, d * e)
    yield _reduced(n * e - m * d, d * e)
    yield _reduced(m * d - n * e, d * e)
    yield _reduced(n * m, d * e)
    if m:
        yield _reduced(n * e, d * m)
    if n:
        yield _reduced(m * d, e * n)


def _reduced(above: int, below: int) -> _Ratio:
    shared = gcd(above, below) if below > 0 else -gcd(above, below)
    return above // shared, below // shared


def _task(numbers: tuple[int, ...], place: int, count: int) -> Task:
    a, b, c, d = numbers
    fifth = count // 5
    split: Split = "build" if place < fifth else "dev" if place < 2 * fifth else "test"
    return Task(
        id=f"game24-{a}-{b}-{c}-{d}",
        prompt=(
            f"Use {a}, {b}, {c} and {d} with + - * / and brackets to make 24. "
            "Use each number exactly once. Answer with the expression."
        ),
        scorer="game24",
        split=split,
        numbers=numbers,
    )
