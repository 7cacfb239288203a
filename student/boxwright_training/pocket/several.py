"""Episodes of several calls that belong together: at once, or one feeding the next."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping

from boxwright_training.pocket.concepts import Concept, Mode
from boxwright_training.pocket.conversation import Episode, Talk, said_of, target
from boxwright_training.pocket.questions import core, draw_given, phrases
from boxwright_training.pocket.results import answer, result_of
from boxwright_training.pocket.scene import NoFit, Scene
from boxwright_training.pocket.slots import Slot
from boxwright_training.pocket.tools import Tool
from boxwright_training.pocket.values import Given, Json, chance, identifier, number, some_date

_REFERENCES = ("the result", "that result", "the value you get", "what you get", "the output", "that value")
SINGLE = {
    "city",
    "country",
    "person",
    "first",
    "company",
    "symbol",
    "thing",
    "made",
    "id",
    "date",
    "language",
    "email",
}
"""Kinds whose values may stand as "A and B" where two calls are meant."""


def parallel(scene: Scene) -> Episode:
    if chance(scene.rng, 0.5):
        return _same_tool_twice(scene)
    first, second = scene.concept(), scene.concept()
    if first.apart & second.apart and first.domain != second.domain:
        raise NoFit
    scene.count = max(scene.count, 2)
    tools = [scene.add(first), scene.add(second)]
    scene.fill([first, second], 0.4)
    talk, texts, given = Talk(scene), [], []
    for tool in tools:
        values = draw_given(scene.draw, tool)
        given.append(values)
        texts.append(core(scene.draw, tool, said_of(values), ">")[1])
    talk.user(_joined(scene.rng, texts))
    talk.call(*zip(tools, given, strict=True))
    if chance(scene.rng, 0.6):
        _answer_all(talk, tools, given)
    return talk.episode("parallel")


def _joined(rng: random.Random, texts: list[str]) -> str:
    one, two = texts
    if ". " in one or ". " in two or chance(rng, 0.4):
        return f"{one[0].upper()}{one[1:]}. {rng.choice(('Also', 'And', 'Then also', 'Besides'))}, {two}."
    head = rng.choice(("", "Please ", "I need you to ", "Could you "))
    text = f"{head}{one}{rng.choice((' and ', ', and also ', ' and then ', '; also '))}{two}"
    return f"{text[0].upper()}{text[1:]}{'?' if head == 'Could you ' else '.'}"


def _answer_all(talk: Talk, tools: list[Tool], given: list[dict[str, Given]]) -> None:
    results = [result_of(talk.scene.draw, tool, values) for tool, values in zip(tools, given, strict=True)]
    for place, text in enumerate(results):
        talk.result(text, place)
    talk.says("\n".join(answer("", text, alone=True) for text in results))


def _same_tool_twice(scene: Scene) -> Episode:
    """One request that needs a tool twice or three times, for several values of one slot."""
    tool, talk = target(scene), Talk(scene)
    given = draw_given(scene.draw, tool)
    kinds = [param.slot.kind for param in tool.params]
    open_to = [
        param
        for param in tool.params
        if param.slot.kind in SINGLE and kinds.count(param.slot.kind) == 1 and param.slot.name in given
    ]
    if not open_to:
        raise NoFit
    param = scene.rng.choice(open_to)
    drawn = [given[param.slot.name], *(param.draw(scene.draw) for _ in range(scene.rng.choice((1, 1, 2))))]
    texts = [said for _, said in drawn]
    if len(set(texts)) < len(texts) or any("," in text for text in texts):
        raise NoFit
    joined = f"{', '.join(texts[:-1])} and {texts[-1]}"
    talk.ask(*core(scene.draw, tool, said_of(given) | {param.slot.name: joined}))
    every = [given | {param.slot.name: value} for value in drawn]
    talk.call(*((tool, values) for values in every))
    if chance(scene.rng, 0.6):
        _answer_all(talk, [tool] * len(every), every)
    return talk.episode("parallel")


_FEEDS = {"num": {"num", "signed"}, "id": {"id"}, "date": {"date"}}


def chain(scene: Scene) -> Episode:
    """Two requests of which the second needs the first one's result."""
    first = _drawn(scene, lambda concept: concept.result in _FEEDS)
    second = _drawn(
        scene,
        lambda concept: not concept.apart & first.apart and any(_takes(first.result, slot) for slot in concept.needs()),
    )
    scene.count = max(scene.count, 2)
    tools = [scene.add(first), scene.add(second)]
    scene.fill([first, second], 0.4)
    talk, draw = Talk(scene), scene.draw
    slot = scene.rng.choice([slot for slot in second.needs() if _takes(first.result, slot)])
    param = next(param for param in tools[1].params if param.slot is slot)
    if first.result == "date" and param.form != "iso":
        raise NoFit
    given, then = draw_given(draw, tools[0]), draw_given(draw, tools[1])
    value = _fed(scene, first.result, param.form)
    text = value if isinstance(value, str) else json.dumps(value)
    mode, question = _chained(scene, tools, given, then, slot)
    talk.ask(mode, question)
    talk.call((tools[0], given))
    talk.result(
        text if chance(scene.rng, 0.6) else json.dumps({scene.rng.choice(("result", "value", slot.name)): value})
    )
    then = then | {slot.name: (value, text)}
    talk.call((tools[1], then))
    if chance(scene.rng, 0.7):
        talk.finish(tools[1], then)
    return talk.episode("chain")


def _takes(result: str, slot: Slot) -> bool:
    return slot.kind in _FEEDS[result] and not slot.detail


def _drawn(scene: Scene, fits: Callable[[Concept], bool]) -> Concept:
    for _ in range(30):
        concept = scene.concept()
        if fits(concept):
            return concept
    raise NoFit


def _fed(scene: Scene, result: str, form: str) -> Json:
    if result == "num":
        return number(scene.rng, 0)[0]
    if result == "date":
        return some_date(scene.rng).isoformat()
    return scene.rng.randint(1, 99999) if form == "integer" else identifier(scene.rng, scene.draw.level)


def _chained(
    scene: Scene, tools: list[Tool], given: Mapping[str, Given], then: Mapping[str, Given], slot: Slot
) -> tuple[Mode, str]:
    """Return one request for both calls: "…, then … with the result", or the second's with the first's in its place."""
    draw, rng, concept = scene.draw, scene.rng, tools[0].concept
    if concept.asked and chance(rng, 0.45):
        thing = rng.choice(concept.things)
        nested = f"the {thing}{phrases(draw, [s for s in concept.slots if s.name in given], said_of(given))}"
        if ". " in nested:
            raise NoFit
        return core(draw, tools[1], said_of(then) | {slot.name: nested})
    first = core(draw, tools[0], said_of(given), ">")[1]
    second = core(draw, tools[1], said_of(then) | {slot.name: rng.choice(_REFERENCES)}, ">")[1]
    if ". " in first:
        raise NoFit
    return ">", f"{first}{rng.choice((', then ', ' and then ', ', and after that ', '; next, '))}{second}"
