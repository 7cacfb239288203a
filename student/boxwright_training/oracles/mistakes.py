"""Calls that go wrong and are mended: a step is first made with a mistake that models make, and then as it should be.

What the tool says of the mistake is the tool's own, so a student learns to read it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from itertools import count

from boxwright.tasks.expressions import evaluate
from boxwright_training.oracles.dates import BETWEEN, MONTHS
from boxwright_training.oracles.drawing import Draw
from boxwright_training.oracles.episode import EVALUATE, Solving, Step
from boxwright_training.oracles.game24 import CHECK, SOLVE

MISTAKEN = 0.09
"""The share of episodes that are drawn to hold a mistake; in some of these the step to spoil does not come."""
FAILED = "Error: "
"""How the student is told of a call that failed."""
_ISO = re.compile(r"\d{4}-\d\d-\d\d")
_NAME = "total"
"""What stands in an expression in a number's place."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Mistake:
    """A step made wrongly."""

    step: Step
    mending: Callable[[str], str]
    """Given what the student reads of it, the reason of the step that mends it."""
    refused: bool = True
    """Whether the tool refuses it; else it is the result that shows the mistake."""


def mended(solving: Solving, draw: Draw) -> Solving:
    """Return a solving in which the first or the second call is made wrongly before it is made as it should be."""
    place, told = draw.rng.choice((0, 0, 1)), None
    for number in count():
        try:
            step = next(solving) if told is None else solving.send(told)
        except StopIteration as end:
            return str(end.value)
        mistake = spoiled(step, draw) if number == place else None
        if mistake is not None:
            said = yield mistake.step
            assert said.startswith(FAILED) or not mistake.refused, f"{mistake.step} was not refused: {said}"
            step = replace(step, reason=mistake.mending(said))
        told = yield step
    raise AssertionError("unreachable")


def spoiled(step: Step, draw: Draw) -> Mistake | None:
    """Return the step with a mistake in it, where there is one for its tool and arguments."""
    if step.tool == SOLVE:
        return draw.rng.choice((_guess, _left_out))(step, draw)
    found = _expressions(step, draw) if step.tool == EVALUATE else _dates(step, draw)
    return draw.rng.choice(found) if found else None


def _expressions(step: Step, draw: Draw) -> list[Mistake]:
    right = str(step.arguments["expression"])
    number = _NUMBER.findall(right)[0]
    made = {"equals": f"{right} =", "currency": f"${right}", "name": right.replace(number, _NAME, 1)}
    if " * " in right:
        made["times_sign"] = right.replace(" * ", " x ")
    if right.endswith(")"):
        made["bracket"] = right[:-1]
    if re.fullmatch(r"[\d.]+(?: \+ [\d.]+)+", right):
        made["function"] = f"sum({right.replace(' + ', ', ')})"
    told = {"right": right, "given": _NAME, "number": number}
    return [
        Mistake(replace(step, arguments={"expression": given}), _said(draw, key, **told)) for key, given in made.items()
    ]


def _dates(step: Step, draw: Draw) -> list[Mistake]:
    found = []
    for name, value in step.arguments.items():
        if _ISO.fullmatch(str(value)):
            for given in _misread(date.fromisoformat(value)):
                arguments = {**step.arguments, name: given}
                mending = _said(draw, "date_form", given=given, right=value)
                found.append(Mistake(replace(step, arguments=arguments), mending))
    if step.tool == BETWEEN and step.arguments["start"] < step.arguments["end"]:
        start, end = step.arguments["start"], step.arguments["end"]
        swapped = replace(step, arguments={"start": end, "end": start})
        found += [Mistake(swapped, lambda said: draw.say("swapped", given=said, right=start), refused=False)] * 2
    return found


def _misread(day: date) -> list[str]:
    """Return ways to write a day that the tool does not take."""
    month = MONTHS[day.month - 1]
    forms = [f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", f"{day:%d.%m.%Y}", f"{day:%m/%d/%Y}"]
    return forms + [f"{day.year}-{day.month}-{day.day}"] * (day.month < 10 or day.day < 10)


def _guess(step: Step, draw: Draw) -> Mistake:
    """Check an expression that was not worked out, and makes something else."""
    numbers = step.arguments["numbers"]
    while True:
        signs = [draw.rng.choice("+-*") for _ in numbers[1:]]
        guess = str(numbers[0]) + "".join(f" {sign} {one}" for sign, one in zip(signs, numbers[1:], strict=True))
        value = evaluate(guess).value
        if value != 24:
            break
    told = ", ".join(map(str, numbers))
    tried = Step(draw.say("guess", numbers=told, expression=guess), CHECK, {"expression": guess, "numbers": numbers})
    return Mistake(tried, _said(draw, "guess_failed", value=value, numbers=told), refused=False)


def _left_out(step: Step, draw: Draw) -> Mistake:
    """Give the solver three of the four numbers, which it refuses, or solves without the fourth."""
    numbers = step.arguments["numbers"]
    place = draw.rng.randrange(len(numbers))
    fewer = replace(step, arguments={"numbers": [*numbers[:place], *numbers[place + 1 :]]})
    told = ", ".join(map(str, numbers))
    return Mistake(fewer, _said(draw, "left_out", missing=numbers[place], numbers=told), refused=False)


def _said(draw: Draw, key: str, **values: object) -> Callable[[str], str]:
    return lambda _: draw.say(key, **values)
