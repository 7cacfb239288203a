"""Expressions that are asked in the suite `arithmetic`: drawn as trees, with the value they have."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

_STRENGTHS = {"+": 1, "-": 1, "*": 2, "/": 2}
_OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}
_DIVISORS = (2, 4, 5, 8, 10, 16, 20, 25, 40, 50)
"""What is divided by: the value then ends as a decimal."""


@dataclass(frozen=True)
class Drawn:
    """An expression as a tool takes it, and what it comes to."""

    text: str
    value: Fraction
    operations: int
    strength: int = 3
    """How tightly its outermost operation binds; a number's 3 needs no brackets anywhere."""


def expression(rng: random.Random, numbers: int) -> Drawn:
    """Return an expression of so many numbers, whose value ends as a decimal."""
    if numbers == 1:
        return _number(rng)
    sign = rng.choice("++--**/")
    if sign == "/":
        divisor = rng.choice(_DIVISORS)
        return _joined(expression(rng, numbers - 1), "/", Drawn(str(divisor), Fraction(divisor), 0))
    left = rng.randint(1, numbers - 1)
    return _joined(expression(rng, left), sign, expression(rng, numbers - left))


def typeset(rng: random.Random, text: str) -> str:
    """Return an expression as people write it: sometimes with the signs of print."""
    text = text.replace("**", "^")
    return text.replace("*", "×").replace("/", "÷") if rng.random() < 0.3 else text


def _number(rng: random.Random) -> Drawn:
    form = rng.random()
    if form < 0.1:
        base, power = rng.randint(2, 15), rng.choice((2, 2, 3))
        return Drawn(f"{base}**{power}", Fraction(base**power), 1)
    if form < 0.3:
        tenths = rng.randint(1, 99) * 10 + rng.randint(1, 9)
        return Drawn(f"{tenths // 10}.{tenths % 10}", Fraction(tenths, 10), 0)
    whole = rng.randint(2, 999 if form > 0.8 else 99)
    return Drawn(str(whole), Fraction(whole), 0)


def _joined(left: Drawn, sign: str, right: Drawn) -> Drawn:
    strength = _STRENGTHS[sign]
    one = f"({left.text})" if left.strength < strength else left.text
    # Behind - and / the same strength needs brackets too: a - (b + c) is not a - b + c.
    loose = right.strength < strength or (right.strength == strength and sign in "-/")
    two = f"({right.text})" if loose else right.text
    value = _OPERATIONS[sign](left.value, right.value)
    return Drawn(f"{one} {sign} {two}", value, left.operations + right.operations + 1, strength)
