"""The oracle `dates`: weekdays, days between, shifts, ages, leap years and nights, found by the box of dates.

The answers that tasks are scored with are computed here with `datetime`, apart from what the box finds.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from datetime import date, timedelta

from boxwright.tasks import Split
from boxwright_training.oracles.arithmetic import money
from boxwright_training.oracles.drawing import Draw, drawn
from boxwright_training.oracles.episode import Episode, Made, Solving, Step, computed

BETWEEN, SHIFT, WEEKDAY = "dates__days_between", "dates__shift", "dates__weekday"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_BOXES = ("dates",)
_MOST = {"days": 400, "weeks": 60, "months": 40, "years": 40}
"""How far a task shifts a date."""


def episodes(split: Split, seed: int) -> Iterator[Episode]:
    """Yield episodes of the suite `dates`; in practice they do not run out."""
    return drawn("dates", _KINDS, split, seed)


class _Written:
    """Writes the dates of one task in one form, and says what they are in the tool's."""

    def __init__(self, rng: random.Random) -> None:
        self._form = rng.choice(("iso", "iso", "day first", "month first"))

    def __call__(self, day: date) -> str:
        if self._form == "iso":
            return day.isoformat()
        month = MONTHS[day.month - 1]
        return f"{day.day} {month} {day.year}" if self._form == "day first" else f"{month} {day.day}, {day.year}"

    def read(self, *days: date) -> str:
        """Return the sentence that turns the dates into the tool's form; empty where they have it."""
        return "" if self._form == "iso" else ", and ".join(f"{self(day)} is {day}" for day in days) + ". "


def _shifted(reason: str, start: str, amount: int, unit: str) -> Generator[Step, str, str]:
    """Shift a date; the unit is left to its default where it is days."""
    arguments: dict[str, object] = {"start": start, "amount": amount}
    return (yield Step(reason, SHIFT, arguments if unit == "days" else arguments | {"unit": unit}))


def _between(reason: str, start: str, end: str) -> Generator[Step, str, str]:
    return (yield Step(reason, BETWEEN, {"start": start, "end": end}))


def _looked_up(reason: str, day: str) -> Generator[Step, str, str]:
    return (yield Step(reason, WEEKDAY, {"day": day}))


def _day(rng: random.Random, first: int = 1900, last: int = 2099) -> date:
    """Return a day that every month has, so that shifts by months and years have one reading."""
    return date(rng.randint(first, last), rng.randint(1, 12), rng.randint(1, 28))


def _time(rng: random.Random) -> tuple[int, str]:
    unit = rng.choice(tuple(_MOST))
    return rng.randint(2, _MOST[unit]), unit


def _moved(day: date, amount: int, unit: str) -> date:
    if unit in ("days", "weeks"):
        return day + timedelta(days=amount * (7 if unit == "weeks" else 1))
    months = day.year * 12 + day.month - 1 + amount * (12 if unit == "years" else 1)
    return day.replace(year=months // 12, month=months % 12 + 1)


def _weekday(draw: Draw) -> Made:
    day, written = _day(draw.rng), _Written(draw.rng)

    def solve() -> Solving:
        return (yield from _looked_up(written.read(day) + draw.say("weekday", iso=day), day.isoformat()))

    values = {"day": written(day), "name": draw.word("names"), "event": draw.word("events")}
    prompt = draw.prompt("weekday", "weekday_forms", **values)
    return Made(prompt, "exact", WEEKDAYS[day.weekday()], solve, boxes=_BOXES)


def _days(draw: Draw) -> Made:
    start, written = _day(draw.rng), _Written(draw.rng)
    end = start + timedelta(days=draw.rng.randint(2, draw.rng.choice((60, 400, 4000))))

    def solve() -> Solving:
        said = written.read(start, end) + draw.say("between", start=start, end=end)
        return (yield from _between(said, start.isoformat(), end.isoformat()))

    values = {"name": draw.word("names"), "event": draw.word("events")}
    prompt = draw.prompt("between", "number_forms", start=written(start), end=written(end), **values)
    return Made(prompt, "number", str((end - start).days), solve, boxes=_BOXES)


def _shift(draw: Draw) -> Made:
    start, written = _day(draw.rng), _Written(draw.rng)
    amount, unit = _time(draw.rng)

    def solve() -> Solving:
        said = written.read(start) + draw.say("shift", start=start, amount=amount, unit=unit)
        return (yield from _shifted(said, start.isoformat(), amount, unit))

    values = {"amount": amount, "unit": unit, "name": draw.word("names"), "event": draw.word("events")}
    prompt = draw.prompt("shift", "date_forms", start=written(start), **values)
    return Made(prompt, "exact", _moved(start, amount, unit).isoformat(), solve, boxes=_BOXES)


def _weekday_after(draw: Draw) -> Made:
    start, written = _day(draw.rng), _Written(draw.rng)
    amount, unit = _time(draw.rng)

    def solve() -> Solving:
        said = written.read(start) + draw.say("weekday_after_shift", start=start, amount=amount, unit=unit)
        day = yield from _shifted(said, start.isoformat(), amount, unit)
        return (yield from _looked_up(draw.say("weekday_after_weekday", iso=day), day))

    values = {"amount": amount, "unit": unit, "name": draw.word("names"), "event": draw.word("events")}
    prompt = draw.prompt("weekday_after", "weekday_forms", start=written(start), **values)
    return Made(prompt, "exact", WEEKDAYS[_moved(start, amount, unit).weekday()], solve, boxes=_BOXES)


def _age(draw: Draw) -> Made:
    birth, written = _day(draw.rng, 1900, 2010), _Written(draw.rng)
    day = _day(draw.rng, birth.year + 2, birth.year + 80)
    years = day.year - birth.year

    def solve() -> Solving:
        known = {"birth": birth, "day": day, "years": years, "year": day.year, "birth_year": birth.year}
        said = written.read(birth, day) + draw.say("age_birthday", **known)
        birthday = yield from _shifted(said, birth.isoformat(), years, "years")
        days = yield from _between(draw.say("age_days", birthday=birthday, day=day), birthday, day.isoformat())
        return str(years - (int(days) < 0))

    values = {"name": draw.word("names"), "event": draw.word("events")}
    prompt = draw.prompt("age", "number_forms", birth=written(birth), day=written(day), **values)
    answer = years - ((day.month, day.day) < (birth.month, birth.day))
    return Made(prompt, "number", str(answer), solve, boxes=_BOXES)


def _leap(draw: Draw) -> Made:
    # Centuries and every fourth year are where a wrong rule shows.
    near = draw.rng.choice((4, 4, 100, 1))
    year = draw.rng.randint(1600 // near, 2400 // near) * near
    start, end = date(year, 2, 28), date(year, 3, 1)

    def solve() -> Solving:
        days = yield from _between(draw.say("leap", start=start, end=end), start.isoformat(), end.isoformat())
        return "yes" if days == "2" else "no"

    prompt = draw.prompt("leap", "truth_forms", year=year, name=draw.word("names"))
    return Made(prompt, "exact", "yes" if (end - start).days == 2 else "no", solve, boxes=_BOXES)


def _nights(draw: Draw) -> Made:
    start, written = _day(draw.rng, 1990, 2040), _Written(draw.rng)
    nights, cents = draw.rng.randint(2, 90), draw.rng.randint(16, 800) * 25
    end, price = start + timedelta(days=nights), money(cents)

    def solve() -> Solving:
        said = written.read(start, end) + draw.say("nights_days", start=start, end=end, price=price)
        days = yield from _between(said, start.isoformat(), end.isoformat())
        cost = f"{days} * {price}"
        return (yield from computed(draw.say("nights_cost", days=days, price=price, expression=cost), cost))

    values = {"price": price, "name": draw.word("names"), "event": draw.word("events")}
    values |= {"currency": draw.word("currencies"), "start": written(start), "end": written(end)}
    prompt = draw.prompt("nights", "number_forms", **values)
    return Made(prompt, "number", money(nights * cents), solve, boxes=("calculator", "dates"))


def _plan(draw: Draw) -> Made:
    start, written = _day(draw.rng), _Written(draw.rng)
    # Months come before days: a day that was moved first might be one that the month lacks.
    (first, first_unit), second, second_unit = _time(draw.rng), draw.rng.randint(2, 60), draw.rng.choice(_SHORT)

    def solve() -> Solving:
        said = written.read(start) + draw.say("plan_first", start=start, amount=first, unit=first_unit)
        middle = yield from _shifted(said, start.isoformat(), first, first_unit)
        said = draw.say("plan_second", start=middle, amount=second, unit=second_unit)
        day = yield from _shifted(said, middle, second, second_unit)
        return (yield from _looked_up(draw.say("weekday_after_weekday", iso=day), day))

    values = {"first": first, "first_unit": first_unit, "second": second, "second_unit": second_unit}
    named = {"name": draw.word("names"), "event": draw.word("events")}
    prompt = draw.prompt("plan", "weekday_forms", start=written(start), **values, **named)
    end = _moved(_moved(start, first, first_unit), second, second_unit)
    return Made(prompt, "exact", WEEKDAYS[end.weekday()], solve, boxes=_BOXES)


_SHORT = ("days", "weeks")
_KINDS = (_weekday, _days, _shift, _weekday_after, _age, _leap, _nights, _plan)
