"""What tools return, and the answers read off it: a fixed rule, so that the right answer is one and only one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from boxwright_training.pocket import values as v
from boxwright_training.pocket.game import solve
from boxwright_training.pocket.rows import words_in
from boxwright_training.pocket.slots import Draw
from boxwright_training.pocket.tools import Tool
from boxwright_training.pocket.values import Given, Json, chance

_STATES = ("ok", "success", "done", "created", "updated", "accepted", "queued", "completed", "saved", "sent")
_WEEKDAYS = words_in("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
_KEYS = words_in("id name status total count price score code date unit color rank level owner size state version")


def result_of(draw: Draw, tool: Tool, given: Mapping[str, Given]) -> str:
    """Return what a call of the tool gives back, as the text the model sees; an error starts with `Error: `."""
    rng, kind = draw.rng, tool.concept.result
    if kind == "expr":
        return _solved(given)
    if kind == "done":
        return _done(draw)
    if kind == "exact":
        decimal = v.number(rng, 0, 5000)[0]
        exact = f"{rng.randint(1, 99)}/{rng.randint(3, 99)}" if chance(rng, 0.2) else str(decimal)
        return json.dumps({"exact": exact, "decimal": decimal})
    if kind == "list":
        return _listing(draw)
    if kind == "bool":
        value: Json = chance(rng, 0.5)
    elif kind == "num":
        value = v.number(rng, 0, 5000)[0] if chance(rng, 0.9) else -v.decimal(rng, 100.0)[0]  # type: ignore[operator]
        value = round(rng.random() * 1000, rng.randint(3, 12)) if chance(rng, 0.15) else value
    elif kind == "id":
        value = v.identifier(rng, draw.level)
    elif kind == "weekday":
        value = rng.choice(_WEEKDAYS)
    elif kind == "date":
        value = v.some_date(rng).isoformat()
    elif chance(rng, 0.3):
        return json.dumps(_record(draw), ensure_ascii=False)
    else:
        value = rng.choice((draw.phrase, draw.person, lambda: v.identifier(rng, 1.0)))()
    return _shown(draw, tool, value)


def _solved(given: Mapping[str, Given]) -> str:
    numbers, target = given["numbers"][0], given.get("target", (24, ""))[0]
    assert isinstance(numbers, list) and isinstance(target, int)
    found = solve(tuple(int(str(number)) for number in numbers), target)
    return found or f"Error: {target} cannot be made from {numbers}"


def _shown(draw: Draw, tool: Tool, value: Json) -> str:
    """Return a single value bare, or in an object of one key."""
    if draw.level < 0.1 or chance(draw.rng, 0.6):
        return value if isinstance(value, str) else json.dumps(value)
    key = draw.rng.choice(("result", "result", "value", "output", tool.concept.things[0].split()[0]))
    return json.dumps({key: value}, ensure_ascii=False)


def _record(draw: Draw) -> dict[str, Json]:
    keys = draw.rng.sample(_KEYS, draw.rng.randint(2, 4))
    return {key: _field(draw) for key in keys}


def _field(draw: Draw) -> Json:
    roll = draw.rng.random()
    if roll < 0.4:
        return v.number(draw.rng, 0, 1000)[0]
    return draw.phrase() if roll < 0.6 else v.identifier(draw.rng, 1.0) if roll < 0.8 else draw.person()


def _done(draw: Draw) -> str:
    state = draw.rng.choice(_STATES)
    if chance(draw.rng, 0.3):
        return state
    if chance(draw.rng, 0.4):
        return f"{state.capitalize()}: {v.identifier(draw.rng, draw.level)}"
    return json.dumps({"status": state, "id": v.identifier(draw.rng, draw.level)})


def _listing(draw: Draw) -> str:
    items = [draw.rng.choice((draw.pick, draw.person, lambda: v.identifier(draw.rng, 1.0)))() for _ in range(3)]
    items = items[: draw.rng.randint(1, 3)]
    return "\n".join(items) if chance(draw.rng, 0.25) else json.dumps(items, ensure_ascii=False)


def answer(question: str, content: str, alone: bool) -> str:
    """Return the answer that a tool's result gives.

    An object of one key counts as its value; of an object with several, the value whose key the question names
    ("the price"), if it names just one, else all of them. Of an exact value and its decimal, the exact one unless it
    is a fraction.

    Args:
        question: What the user asked last.
        content: The tool's result as the model sees it.
        alone: Whether the answer is wanted on its own, not in a sentence.
    """
    if content.startswith("Error: "):
        return f"It could not be done: {content.removeprefix('Error: ')}"
    value = _parsed(content)
    if isinstance(value, dict) and value.keys() == {"exact", "decimal"}:
        value = value["decimal"] if "/" in str(value["exact"]) else value["exact"]
    if isinstance(value, dict):
        named = [key for key in value if _asks_for(question.lower(), key.replace("_", " "))]
        keys = named if len(named) == 1 else list(value)
        if len(keys) > 1:
            return ", ".join(f"{key}: {_text(value[key])}" for key in keys) + ("" if alone else ".")
        value = value[keys[0]] if keys else "nothing"
    if isinstance(value, bool):
        return ("Yes" if value else "No") + ("" if alone else ".")
    if isinstance(value, list):
        text = ", ".join(_text(item) for item in value)
        return text if alone else f"I found: {text}."
    return _text(value) if alone else f"The answer is {_text(value)}."


def _asks_for(question: str, key: str) -> bool:
    return re.search(rf"\b(what|which|the) {re.escape(key)}\b", question) is not None


def _parsed(content: str) -> Json:
    try:
        found: Json = json.loads(content)
    except ValueError:
        lines = content.split("\n")
        return [*lines] if len(lines) > 1 else content
    # A number keeps the digits it came with.
    return found if isinstance(found, dict | list | bool) else content


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
