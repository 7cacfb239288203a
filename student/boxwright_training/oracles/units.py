"""The oracle `units`: conversions by exact factors (their sources: `unit_table`), computed by the calculator's box.

What a unit is exactly stands in the reason of each call, since that is the knowledge a student lacks. The answers that
tasks are scored with are computed here in fractions, apart from what the box finds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction

from boxwright.tasks import Split
from boxwright_training.oracles.drawing import Draw, drawn, listed
from boxwright_training.oracles.episode import Episode, Made, Solve, Solving, computed
from boxwright_training.oracles.unit_table import DIMENSIONS, TEMPERATURES, Dimension, Unit

TOLERANCE = 1e-4
"""How far an answer may be off, which lets a student round to five figures; so no answer is below `SMALLEST`."""
SMALLEST, LARGEST = 1, 10**7
_STUFF = tuple(one for one in DIMENSIONS if one.name not in ("time", "speed"))
"""Dimensions that stuff is measured in."""


def episodes(split: Split, seed: int) -> Iterator[Episode]:
    """Yield episodes of the suite `units`; in practice they do not run out."""
    return drawn("units", _KINDS, split, seed)


def factor(unit: Unit) -> Fraction:
    """Return what one of the unit is in its dimension's base, exactly."""
    above, _, below = unit.factor.strip("()").partition(" / ")
    return Fraction(above) / Fraction(below or 1)


def _converted(draw: Draw, value: str, unit: Unit, target: Unit, base: str) -> Solving:
    """Have a value converted, with the factors told."""
    facts = listed([f"1 {one.one} is {one.factor} {base}" for one in (unit, target) if one.factor != "1"])
    above = value if unit.factor == "1" else f"{value} * {unit.factor}"
    expression = above if target.factor == "1" else f"{above} / {target.factor}"
    said = draw.say("convert", facts=facts, value=value, unit=unit.many, target=target.many, expression=expression)
    return computed(said[0].upper() + said[1:], expression)


def _value(rng: random.Random) -> str:
    """Return a quantity as it is told: whole, or with one or two decimals, and never 1."""
    whole = rng.randint(2, rng.choice((20, 100, 1000)))
    return str(whole) if rng.random() < 0.5 else f"{whole}.{rng.choice(('5', '25', '75', str(rng.randint(1, 9))))}"


def _pair(rng: random.Random, dimension: Dimension) -> tuple[str, Unit, Unit, Fraction]:
    """Return a value, its unit, another unit, and what the value is in that; neither tiny nor huge."""
    while True:
        unit, target = rng.sample(dimension.units, 2)
        value = _value(rng)
        result = Fraction(value) * factor(unit) / factor(target)
        if SMALLEST <= result <= LARGEST:
            return value, unit, target, result


def _convert(draw: Draw) -> Made:
    dimension = draw.rng.choice(DIMENSIONS)
    value, unit, target, result = _pair(draw.rng, dimension)

    def solve() -> Solving:
        return (yield from _converted(draw, value, unit, target, dimension.base))

    values = {"value": value, "unit": unit.many, "target": target.many, "name": draw.word("names")}
    return _number(draw.prompt("convert", "number_forms", **values), result, solve)


def _temperature(draw: Draw) -> Made:
    unit, target = draw.rng.choice(tuple(TEMPERATURES))
    value = str(draw.rng.randint(230, 600) if unit == "kelvins" else draw.rng.randint(2, 400))
    value += f".{draw.rng.randint(1, 9)}" * (draw.rng.random() < 0.4)
    facts, rule = TEMPERATURES[unit, target]
    expression = rule.format(value=value)

    def solve() -> Solving:
        told = {"facts": facts, "unit": unit, "target": target, "expression": expression}
        said = draw.say("temperature", **told)
        return (yield from computed(said[0].upper() + said[1:], expression))

    values = {"value": value, "unit": unit, "target": target, "name": draw.word("names")}
    return _number(draw.prompt("convert", "number_forms", **values), _degrees(Fraction(value), unit, target), solve)


def _degrees(value: Fraction, unit: str, target: str) -> Fraction:
    """Return a temperature in another unit, by way of kelvins."""
    to_kelvins = {"kelvins": (Fraction(1), Fraction()), "degrees Celsius": (Fraction(1), Fraction("273.15"))}
    to_kelvins["degrees Fahrenheit"] = (Fraction(5, 9), Fraction("459.67") * 5 / 9)
    (slope, lift), (other_slope, other_lift) = to_kelvins[unit], to_kelvins[target]
    return (value * slope + lift - other_lift) / other_slope


def _many(draw: Draw) -> Made:
    dimension = draw.rng.choice(_STUFF)
    value, unit, target, result = _pair(draw.rng, dimension)
    number = draw.rng.randint(2, 60)

    def solve() -> Solving:
        one = yield from _converted(draw, value, unit, target, dimension.base)
        product = f"{one} * {number}"
        said = draw.say("many_count", one=one, target=target.many, count=number, expression=product)
        return (yield from computed(said, product))

    values = {"value": value, "unit": unit.many, "target": target.many, "count": number}
    values |= {"stuff": draw.word(dimension.name), "container": draw.word("containers"), "name": draw.word("names")}
    return _number(draw.prompt("many", "number_forms", **values), result * number, solve)


def _total(draw: Draw) -> Made:
    dimension = draw.rng.choice(_STUFF)
    value, unit, target, _ = _pair(draw.rng, dimension)
    parts = [(value, unit)]
    others = [one for one in dimension.units if one not in (unit, target)]
    for other in draw.rng.sample(others, draw.rng.randint(0, 1)) + [target] * draw.rng.randint(0, 1):
        parts.append((_value(draw.rng), other))
    if len(parts) == 1:
        parts.append((_value(draw.rng), target))
    draw.rng.shuffle(parts)

    def solve() -> Solving:
        found = []
        for amount, one in parts:
            same = one is target
            found.append(amount if same else (yield from _converted(draw, amount, one, target, dimension.base)))
        together = " + ".join(found)
        return (yield from computed(draw.say("total_sum", target=target.many, expression=together), together))

    told = listed([f"{amount} {one.many}" for amount, one in parts]) + f" of {draw.word(dimension.name)}"
    values = {"list": told, "target": target.many, "name": draw.word("names"), "container": draw.word("containers")}
    answer = sum((Fraction(amount) * factor(one) for amount, one in parts), Fraction()) / factor(target)
    return _number(draw.prompt("total", "number_forms", **values), answer, solve)


def _left(draw: Draw) -> Made:
    dimension = draw.rng.choice(_STUFF)
    value, unit, target, result = _pair(draw.rng, dimension)
    used = _rounded(result * draw.rng.randint(10, 80) / 100)

    def solve() -> Solving:
        whole = yield from _converted(draw, value, unit, target, dimension.base)
        rest = f"{whole} - {used}"
        said = draw.say("left_rest", whole=whole, used=used, target=target.many, expression=rest)
        return (yield from computed(said, rest))

    values = {
        "value": value,
        "unit": unit.many,
        "target": target.many,
        "used": used,
        "stuff": draw.word(dimension.name),
    }
    values |= {"name": draw.word("names"), "container": draw.word("containers")}
    return _number(draw.prompt("left", "number_forms", **values), result - Fraction(used), solve)


def _compare(draw: Draw) -> Made:
    dimension = draw.rng.choice(DIMENSIONS)
    value, unit, target, result = _pair(draw.rng, dimension)
    other = _rounded(result * draw.rng.choice((50, 80, 90, 97, 103, 110, 125, 200)) / 100)

    def solve() -> Solving:
        first = yield from _converted(draw, value, unit, target, dimension.base)
        gap = f"{first} - {other}"
        said = draw.say("compare_gap", first=first, second=other, target=target.many, expression=gap)
        return "second" if (yield from computed(said, gap)).startswith("-") else "first"

    values = {"value": value, "unit": unit.many, "target": target.many, "other": other, "name": draw.word("names")}
    answer = "first" if result > Fraction(other) else "second"
    return Made(draw.prompt("compare", "order_forms", **values), "exact", answer, solve)


def _rounded(value: Fraction) -> str:
    """Return a quantity with at most two decimals, which tell values apart that differ by three in a hundred."""
    return f"{float(value):.2f}".rstrip("0").rstrip(".")


def _number(prompt: str, result: Fraction, solve: Solve) -> Made:
    return Made(prompt, "number", repr(float(result)), solve, tolerance=TOLERANCE)


_KINDS = (_convert, _convert, _temperature, _many, _total, _left, _compare)
