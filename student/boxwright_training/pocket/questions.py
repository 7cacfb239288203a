"""Puts a tool's use into words: the question that asks for it, in one of very many wordings."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

from boxwright_training.pocket.concepts import Mode
from boxwright_training.pocket.kinds import KINDS
from boxwright_training.pocket.lexicon import Split, split_of
from boxwright_training.pocket.rows import rows_in
from boxwright_training.pocket.slots import Draw, Slot
from boxwright_training.pocket.tools import Param, Tool
from boxwright_training.pocket.values import Given, Json, chance

Said = Mapping[str, str]
"""How each given slot's value is said, by the slot's name."""

_ASK = rows_in(
    "{}?|{}?|{}?|{}?|{}?|{}|Hey, {}?|Hi! {}?|Quick question: {}?|{}, please?|So, {}?|Can you tell me: {}?|"
    "I was wondering, {}?|One question: {}?|Hello, {}?|Tell me, {}?|{}? Thanks!|I'd like to know: {}?|"
    "Do you know this: {}?|I need to know something: {}?|Good morning. {}?|Please answer: {}?|And now: {}?|"
    "Help me with this: {}?|Question: {}|Q: {}?|Just out of curiosity, {}?|For my homework: {}?|"
    "My boss asks: {}?|ok so {}|hey {}|Could you find out: {}?|A friend asked me: {}?|{}? I need it today.|"
    "{}? It is urgent.|{}? Thank you very much.|Here is my question. {}?|I can't remember: {}?|"
    "Let me ask you this: {}?|What I want to know is this: {}?|pls, {}"
)
_TELL = rows_in(
    "{}.|{}.|{}.|{}.|{}.|{}|Please {}.|Please {}.|Can you {}?|Could you {}?|Could you please {}?|"
    "I need you to {}.|I'd like you to {}.|I want you to {}.|Would you {}?|{}, please.|{} for me.|"
    "Can you please {}? Thanks.|Hey, {}.|Help me {}.|Hi, can you {}?|Now {}.|Your task: {}.|Go ahead and {}.|"
    "I would like to {}.|Let's {}.|Next, {}.|You should {} now.|Kindly {}.|Time to {}.|"
    "Would you mind? I need to {}.|My request: {}.|Is it possible to {}?|I have to {}.|{} right away.|"
    "{} when you can.|Hello! Please {}. Thank you!|We need to {}.|pls {}|just {}|Do me a favour and {}.|"
    "The next thing to do: {}.|Here is what I want: {}.|I'm trying to {}.|How do I {}?|Be so kind and {}."
)
_CONTEXT = rows_in(
    "I am working on a report about {n}.|My {n} is {a}.|We talked about {n} yesterday.|"
    "I have {k} meetings today.|It is a long story about a {a} {n}.|I am {k} years old.|"
    "My friend {p} told me to ask you.|This is for the {n} team.|I am preparing for an exam.|"
    "I have been thinking about {n} for {k} days.|The {n} was rather {a}.|I do not care about {n}.|"
    "There are {k} people waiting.|I'm new here.|Sorry to bother you again.|"
    "My {n} and I are planning something {a}.|{p} wants this by tomorrow.|I'm in a hurry.|"
    "This is about my {a} project.|Last time it took {k} minutes.|I'm writing a book on {n}.|"
    "The weather is nice today.|I was on holiday for {k} weeks."
)
_WHAT = ("what is", "what is", "what's")
_OWN = rows_in(
    "Answer with the result only.|Only the answer, please.|Give just the answer.|Answer with nothing but the result."
)


_MANY = 20
"""Wordings of a concept with which one made of the tool's own words is seldom wanted beside them."""


@dataclass(frozen=True)
class Wrappers:
    """The wordings around a question that one split may use; the plain ones are everyone's."""

    ask: tuple[str, ...]
    tell: tuple[str, ...]
    context: tuple[str, ...]

    @classmethod
    def of(cls, split: Split) -> Wrappers:
        def mine(texts: list[str]) -> tuple[str, ...]:
            return tuple(text for text in texts if len(text) < 4 or split_of(f"wording {text}") == split)

        return cls(mine(_ASK), mine(_TELL), mine(_CONTEXT))


WRAPPERS: dict[Split, Wrappers] = {"train": Wrappers.of("train"), "test": Wrappers.of("test")}


def arguments_of(tool: Tool, given: Mapping[str, Given]) -> dict[str, Json]:
    """Return the arguments of the call, in the order of the schema; what was not given is left out."""
    return {param.name: given[param.slot.name][0] for param in tool.params if param.slot.name in given}


def draw_given(draw: Draw, tool: Tool, extra: float = 0.35) -> dict[str, Given]:
    """Draw what a question gives: every required slot, and each optional one with the probability `extra`."""
    given: dict[str, Given] = {}
    for param in tool.params:
        if param.slot.optional and not param.slot.always and not chance(draw.rng, extra):
            continue
        given[param.slot.name] = _fresh(draw, param, given)
    return given


def _fresh(draw: Draw, param: Param, given: Mapping[str, Given]) -> Given:
    taken = {said for _, said in given.values()}
    for _ in range(5):
        found = param.draw(draw)
        if found[1] not in taken:
            break
    return found


def core(draw: Draw, tool: Tool, said: Said, mode: Mode | None = None, plain: bool = False) -> tuple[Mode, str]:
    """Return a question or a command that holds all that is said, not yet a sentence.

    Args:
        draw: What to draw with.
        tool: The tool asked for.
        said: The slots given, and how each is said.
        mode: Only a question (`?`) or only a command (`>`).
        plain: Only the wording made of the tool's own words.
    """
    rng, concept = draw.rng, tool.concept
    wordings = [row for row in concept.wordings if (mode is None or row[0] == mode) and not plain]
    wordings = [row for row in wordings if _open_slots(row[1]) <= said.keys()]
    goals = {slot.name for slot in concept.slots if slot.kind == "goal" and slot.name in said}
    if goals:  # behind a wording that speaks of 24, another goal would contradict it
        wordings = [row for row in wordings if goals <= _open_slots(row[1])]
    if wordings and chance(rng, 0.7 if concept.senses else 0.62 if len(wordings) < _MANY else 0.85):
        found, text = rng.choice(wordings)
        text, used = _filled(text, said)
        rest = [slot for slot in concept.slots if slot.name in said and slot.name not in used]
        return found, text + phrases(draw, rest, said)
    thing = rng.choice(concept.things)
    rest = [slot for slot in concept.slots if slot.name in said]
    tail = phrases(draw, rest, said)
    if concept.asked and mode != ">" and (mode == "?" or chance(rng, 0.5)):
        return "?", f"{rng.choice(_WHAT)} the {thing}{tail}"
    if mode == "?" and not concept.asked:
        return "?", f"can you {rng.choice(concept.commands)} {thing}{tail}"
    thing = f"the {thing}" if concept.asked else thing
    return ">", f"{rng.choice(concept.commands)} {thing}{tail}"


_BRACKET = re.compile(r"\[([^\[\]]*)\]")
_NAME = re.compile(r"{(\w+)}")


def _open_slots(text: str) -> set[str]:
    return set(_NAME.findall(_BRACKET.sub("", text)))


def _filled(text: str, said: Said) -> tuple[str, set[str]]:
    """Return a wording with its slots filled, bracketed parts kept only if they can be, and which were used."""

    def keep(match: re.Match[str]) -> str:
        return match[1] if set(_NAME.findall(match[1])) <= said.keys() else ""

    text = _BRACKET.sub(keep, text)
    used = set(_NAME.findall(text))
    return _NAME.sub(lambda match: said[match[1]], text), used


def phrases(draw: Draw, slots: list[Slot], said: Said) -> str:
    """Return what goes behind a request to say the values of slots: "with width 5 and height 3", " in Paris"."""
    rng = draw.rng
    kinds = [slot.kind for slot in slots]
    first, named = [], []
    for slot in slots:
        natural = KINDS[slot.kind].natural
        if slot.kind == "bool":
            first.append(said[slot.name])
        elif natural and kinds.count(slot.kind) == 1 and chance(rng, 0.7):
            first.append(rng.choice(natural).replace("{v}", said[slot.name]))
        else:
            named.append(slot)
    if chance(rng, 0.3):
        rng.shuffle(named)
    lead = "".join(f" {text}" for text in first)
    return lead + (_named(draw, named, said) if named else "")


def _named(draw: Draw, slots: list[Slot], said: Said) -> str:
    rng = draw.rng
    pairs = [(slot.called, said[slot.name]) for slot in slots]
    style = rng.randrange(9 if draw.level > 0.1 else 3)
    if style == 0:
        return " with " + _and([f"{words} {text}" for words, text in pairs])
    if style in (1, 2):
        return " with " + _and([f"{_article(words)} {words} of {text}" for words, text in pairs])
    if style == 3:
        return " using " + _and([f"{text} as the {words}" for words, text in pairs])
    if style == 4:
        return ". " + _and(
            [f"{'T' if not place else 't'}he {words} is {text}" for place, (words, text) in enumerate(pairs)]
        )
    if style == 5:
        return " where " + _and([f"{words} = {text}" for words, text in pairs])
    if style == 6:
        return ", " + ", ".join(f"{words}: {text}" for words, text in pairs)
    if style == 7:
        return " for " + _and([f"{words} {text}" for words, text in pairs])
    return " (" + ", ".join(f"{words} {rng.choice(('=', ':', 'is'))} {text}" for words, text in pairs) + ")"


def _article(words: str) -> str:
    return "an" if words[0] in "aeiou" else "a"


def _and(parts: list[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


def wrap(draw: Draw, split: Split, mode: Mode, text: str) -> str:
    """Return a question or command as a user writes it: in a sentence, polite or terse, with talk around it or none."""
    rng, wrappers = draw.rng, WRAPPERS[split]
    forms = wrappers.ask if mode == "?" else wrappers.tell
    form = rng.choice(forms) if draw.level > 0.15 and chance(rng, 0.75) else forms[0]
    head, dot, tail = text.partition(". ")
    if (dot or head.partition(" ")[2].startswith("me ")) and form not in forms[:10]:
        form = forms[0]
    if (
        (form.startswith("{}") and not (draw.level > 0.3 and chance(rng, 0.15)))
        or ". {}" in form
        or "! {}" in form
        or "? {}" in form
    ):
        head = head[0].upper() + head[1:]
    question = form.replace("{}", head)
    if dot:
        question = f"{question}{'' if question[-1] in '.?' else '.'} {tail}."
    if chance(rng, 0.14 * draw.level):
        extra = context(draw, wrappers)
        question = f"{extra} {question}" if chance(rng, 0.7) or question[-1] not in ".?!" else f"{question} {extra}"
    return question


def context(draw: Draw, wrappers: Wrappers) -> str:
    """Return a sentence that has nothing to do with the request, sometimes with a number in it."""
    text = draw.rng.choice(wrappers.context)
    for sign, value in (("{n}", draw.pick()), ("{a}", draw.pick("adjectives")), ("{k}", str(draw.rng.randint(2, 90)))):
        text = text.replace(sign, value)
    return text.replace("{p}", draw.first_name())


def wants_only_answer(rng: random.Random) -> str:
    """Return a sentence that asks for the answer on its own."""
    return rng.choice(_OWN)
