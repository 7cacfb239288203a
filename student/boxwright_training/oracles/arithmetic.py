"""The oracle `arithmetic`: expressions, and word problems in one to four steps, computed by the calculator's box.

The answers that tasks are scored with are computed here, in fractions, apart from what the box finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from boxwright.tasks import Split
from boxwright_training.oracles.drawing import Draw, drawn, listed
from boxwright_training.oracles.episode import Episode, Made, Solving, computed
from boxwright_training.oracles.expressions import expression, typeset

LARGEST = 10**9
"""Where an expression's value ends: beyond, results would be told with an exponent, or rounded."""


def episodes(split: Split, seed: int) -> Iterator[Episode]:
    """Yield episodes of the suite `arithmetic`; in practice they do not run out."""
    return drawn("arithmetic", _KINDS, split, seed)


def money(cents: int) -> str:
    """Return an amount as prices are written: whole, or with two decimals."""
    return f"{cents // 100}.{cents % 100:02d}" if cents % 100 else str(cents // 100)


def decimal(value: Fraction) -> str:
    """Return a value that ends as a decimal, exactly."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    text = str(abs(value) * 10**digits).zfill(digits + 1)
    return f"{'-' * (value < 0)}{text[: len(text) - digits]}{'.' * (digits > 0)}{text[len(text) - digits :]}"


def _expression(draw: Draw) -> Made:
    made = expression(draw.rng, draw.rng.randint(2, 6))
    while abs(made.value) >= LARGEST:
        made = expression(draw.rng, draw.rng.randint(2, 6))

    def solve() -> Solving:
        count = f"{made.operations} operation{'s' * (made.operations > 1)}"
        return (yield from computed(draw.say("expression", expression=made.text, operations=count), made.text))

    text = typeset(draw.rng, made.text)
    return Made(draw.prompt("expression", "forms", expression=text), "number", decimal(made.value), solve)


def _shopping(draw: Draw) -> Made:
    rng = draw.rng
    items = draw.some("items", rng.randint(1, 3))
    # Prices differ, and speeds below: the loop remarks on a call that is made twice.
    prices = rng.sample(range(20, 3001, 5), len(items))
    bought = [(rng.randint(2, 15), item, cents) for item, cents in zip(items, prices, strict=True)]
    total = sum(number * cents for number, _, cents in bought)
    paid_cents = (total // 500 + rng.randint(1, 4)) * 500
    paid = money(paid_cents)

    def solve() -> Solving:
        costs: list[str] = []
        for number, item, cents in bought:
            plan = "" if costs else draw.say("shopping_plan", paid=paid) + " "
            price, cost = money(cents), f"{number} * {money(cents)}"
            said = draw.say("shopping_item", count=number, item=item, price=price, expression=cost)
            costs.append((yield from computed(plan + said, cost)))
        change = f"{paid} - {costs[0]}" if len(costs) == 1 else f"{paid} - ({' + '.join(costs)})"
        said = draw.say("shopping_change", costs=listed(costs), paid=paid, expression=change)
        return (yield from computed(said, change))

    basket = listed([f"{number} {item} at {money(cents)} each" for number, item, cents in bought])
    values = {"name": draw.word("names"), "list": basket, "paid": paid, "currency": draw.word("currencies")}
    return Made(draw.prompt("shopping", "forms", **values), "number", money(paid_cents - total), solve)


def _travel(draw: Draw) -> Made:
    rng = draw.rng
    legs = [(Fraction(rng.randint(5, 40), 4), speed) for speed in rng.sample(range(20, 161), rng.randint(1, 3))]

    def solve() -> Solving:
        parts: list[str] = []
        for hours, speed in legs:
            plan = "" if parts else draw.say("travel_plan") + " "
            leg = f"{decimal(hours)} * {speed}"
            said = draw.say("travel_leg", hours=decimal(hours), speed=speed, expression=leg)
            parts.append((yield from computed(plan + said, leg)))
        if len(parts) == 1:
            return parts[0]
        whole = " + ".join(parts)
        return (yield from computed(draw.say("travel_sum", parts=listed(parts), expression=whole), whole))

    told = ", then ".join(f"{decimal(hours)} hours at {speed} km/h" for hours, speed in legs)
    values = {"name": draw.word("names"), "vehicle": draw.word("vehicles"), "list": told}
    answer = sum((hours * speed for hours, speed in legs), Fraction())
    return Made(draw.prompt("travel", "forms", **values), "number", decimal(answer), solve)


def _share(draw: Draw) -> Made:
    rng = draw.rng
    packs, size, people = rng.randint(3, 40), rng.randint(6, 60), rng.randint(2, 12)
    each = rng.randint(1, (packs * size - 1) // people)
    used = packs * size - each * people
    values: dict[str, object] = {"packs": packs, "size": size, "people": people, "used": used}
    values |= {"items": draw.word("items"), "container": draw.word("containers")}

    def solve() -> Solving:
        product = f"{packs} * {size}"
        whole = yield from computed(draw.say("share_all", **values, expression=product), product)
        less = f"{whole} - {used}"
        rest = yield from computed(draw.say("share_rest", **values, all=whole, expression=less), less)
        parts = f"{rest} / {people}"
        return (yield from computed(draw.say("share_each", rest=rest, **values, expression=parts), parts))

    return Made(draw.prompt("share", "forms", name=draw.word("names"), **values), "number", str(each), solve)


def _percent(draw: Draw) -> Made:
    rng = draw.rng
    count, cents, fee_cents = rng.randint(2, 20), rng.randint(20, 1200) * 5, rng.randint(2, 40) * 25
    percent = rng.choice((5, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50, 60))
    price, fee, left = money(cents), money(fee_cents), 100 - percent
    values = {"count": count, "price": price, "percent": percent, "fee": fee, "items": draw.word("items")}

    def solve() -> Solving:
        product = f"{count} * {price}"
        full = yield from computed(draw.say("percent_full", **values, expression=product), product)
        off = f"{full} * {left} / 100"
        said = draw.say("percent_off", percent=percent, left=left, full=full, expression=off)
        reduced = yield from computed(said, off)
        last = f"{reduced} + {fee}"
        return (yield from computed(draw.say("percent_fee", fee=fee, reduced=reduced, expression=last), last))

    answer = Fraction(count * cents * left, 10_000) + Fraction(fee_cents, 100)
    named = {"name": draw.word("names"), "currency": draw.word("currencies")}
    return Made(draw.prompt("percent", "forms", **named, **values), "number", decimal(answer), solve)


def _average(draw: Draw) -> Made:
    rng = draw.rng
    numbers = [rng.randint(5, 400) for _ in range(rng.choice((3, 4, 5, 6, 8)))]
    numbers[-1] += -sum(numbers) % len(numbers)

    def solve() -> Solving:
        together = " + ".join(map(str, numbers))
        total = yield from computed(draw.say("average_sum", count=len(numbers), expression=together), together)
        mean = f"{total} / {len(numbers)}"
        return (yield from computed(draw.say("average_mean", sum=total, count=len(numbers), expression=mean), mean))

    values = {"name": draw.word("names"), "things": draw.word("things"), "list": listed(list(map(str, numbers)))}
    prompt = draw.prompt("average", "forms", count=len(numbers), **values)
    return Made(prompt, "number", str(sum(numbers) // len(numbers)), solve)


def _saving(draw: Draw) -> Made:
    rng = draw.rng
    start_cents, amount_cents, weeks = rng.randint(2, 300) * 50, rng.randint(2, 120) * 25, rng.randint(3, 30)
    spent_cents = rng.randint(1, (start_cents + amount_cents * weeks) // 50) * 50
    start, amount, spent = money(start_cents), money(amount_cents), money(spent_cents)
    values = {"start": start, "amount": amount, "weeks": weeks, "spent": spent}

    def solve() -> Solving:
        product = f"{weeks} * {amount}"
        added = yield from computed(draw.say("saving_added", **values, expression=product), product)
        left = f"{start} + {added} - {spent}"
        return (yield from computed(draw.say("saving_left", **values, added=added, expression=left), left))

    named = {"name": draw.word("names"), "currency": draw.word("currencies")}
    answer = money(start_cents + amount_cents * weeks - spent_cents)
    return Made(draw.prompt("saving", "forms", **named, **values), "number", answer, solve)


_KINDS = (_expression, _shopping, _travel, _share, _percent, _average, _saving)
