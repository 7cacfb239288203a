"""Solves the number puzzles that questions ask, so that the results shown for them are true."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

_Term = tuple[Fraction, str]


@lru_cache(maxsize=20_000)
def solve(numbers: tuple[int, ...], target: int) -> str | None:
    """Return an expression that makes the target from the numbers, each used once, or None where there is none."""
    return _search([(Fraction(number), str(number)) for number in numbers], target)


def _search(terms: list[_Term], target: int) -> str | None:
    if len(terms) == 1:
        return terms[0][1].removeprefix("(").removesuffix(")") if terms[0][0] == target else None
    for i, left in enumerate(terms):
        for j, right in enumerate(terms):
            if i == j:
                continue
            rest = [term for place, term in enumerate(terms) if place not in (i, j)]
            for joined in _joined(left, right, i < j):
                found = _search([*rest, joined], target)
                if found:
                    return found
    return None


def _joined(left: _Term, right: _Term, ordered: bool) -> list[_Term]:
    (a, one), (b, two) = left, right
    found = [(a - b, f"({one} - {two})")]
    if ordered:
        found += [(a + b, f"({one} + {two})"), (a * b, f"({one} * {two})")]
    if b:
        found.append((a / b, f"({one} / {two})"))
    return found
