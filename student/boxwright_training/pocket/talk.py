"""What users say that no tool is meant for: chat, opinions, other languages; and the sentences of a system message."""

from __future__ import annotations

import random

from boxwright_training.pocket.rows import rows_in
from boxwright_training.pocket.slots import Draw
from boxwright_training.pocket.values import chance

ABSTAIN_STEM = "No tool here can"
_ABSTAIN = ("do that.", "help with that.", "answer that.", "do this.", "be used for that.", "answer this question.")
_CHAT = rows_in(
    "Hello!|Hi there, how are you?|Good morning!|Thank you so much!|Thanks, that is all.|Who are you?|"
    "What is your name?|Are you a human?|Tell me something interesting.|I am bored.|Tell me about your day.|"
    "What do you think about {n}?|Do you like {n}?|Why is {n} so {a}?|Write a poem about {n}.|"
    "Write a short story in which {p} finds a {a} {n}.|What is your opinion on {n}?|Is {n} better than {m}?|"
    "I feel {a} today.|My {n} is {a}.|Who invented the {n}?|What is the meaning of life?|Why do people need {n}?|"
    "How would you explain {n} to a child?|Who won the last {n}?|What is the history of {n}?|Can you sing?|"
    "What would happen if every {n} was {a}?|Give me advice about my {n}.|How do I become good at {n}?|"
    "What is the difference between {n} and {m}?|See you tomorrow!|You are {a}.|I had {n} for breakfast.|"
    "Do you dream of {n}?|Which is more {a}, {n} or {m}?|Who was {f} {s}?|When was {f} {s} born?|"
    "Describe {c} in a few words.|Why did {f} {s} become famous?|ok|hmm|test|???|What can you do?|"
    "Compare {n} with {m}.|Summarize the plot of a film about {n}.|Suggest a name for my {n}.|"
    "Convince me that {n} is {a}."
)
_FOREIGN = rows_in(
    "Wie geht es dir heute?|Kannst du mir bitte mit {n} helfen?|Was ist der Sinn von {n}?|"
    "Ich verstehe {n} nicht.|Comment ça va aujourd'hui ?|Peux-tu m'aider avec {n} ?|Je ne comprends pas {n}.|"
    "Quelle est la couleur de {n} ?|¿Cómo estás hoy?|¿Puedes ayudarme con {n}?|No entiendo {n}.|¿Dónde está {n}?|"
    "Come stai oggi?|Mi puoi aiutare con {n}?|Como você está hoje?|Você pode me ajudar com {n}?|"
    "Hoe gaat het vandaag?|Kun je mij helpen met {n}?|Jak się masz?|Hur mår du idag?|Как дела?|Что такое {n}?|"
    "今日は元気ですか?|{n}とは何ですか?|你好吗?|什么是{n}?|오늘 어때요?|كيف حالك؟|Nasılsın?"
)
SYSTEM = (
    "You solve tasks. When a tool computes something the task needs, call it instead of computing yourself, and use "
    "its result as it is. If a call fails, read why, mend it, and try again. When you have the answer, give it on "
    "its own. If no tool applies, answer as well as you can, or say what you could not do."
)
"""The system message of the student's agent, word for word (boxwright_student.agent); it wants the answer alone."""
_OPENINGS = rows_in(
    "You are a helpful assistant.|You are an assistant with tools.|You help people with their tasks.|"
    "You solve tasks.|You are a careful assistant that calls functions.|Use the tools to help the user.|"
    "You are {f}, an assistant.|You work for {s} Inc.|You are an agent."
)
_RULES = rows_in(
    "Call a tool whenever one fits.|Do not guess: call a tool.|If no tool applies, say so.|"
    "Ask if something is missing.|Use each result as it is.|If a call fails, read why and try again.|"
    "Never make up arguments.|Be brief.|Be polite.|Do not compute yourself.|"
    "Call several tools at once if you need to."
)
_ALONE = rows_in(
    "When you have the answer, give it on its own.|Give the answer on its own.|Answer with the result only.|"
    "Reply with nothing but the answer.|Your last message must be the answer alone."
)


def abstention(rng: random.Random) -> str:
    """Return the answer to what no tool can do; it always starts with `ABSTAIN_STEM`."""
    return f"{ABSTAIN_STEM} {rng.choice(_ABSTAIN)}"


def chat(draw: Draw) -> str:
    """Return something a user says that is no request for a tool."""
    text = draw.rng.choice(_FOREIGN if chance(draw.rng, 0.2 * draw.level) else _CHAT)
    return _filled(draw, text)


def _filled(draw: Draw, text: str) -> str:
    if "{" not in text:
        return text
    fills = {"n": draw.pick(), "m": draw.pick(), "a": draw.pick("adjectives"), "c": draw.rng.choice(draw.words.cities)}
    return text.format(**fills, p=draw.first_name(), f=draw.first_name(), s=draw.rng.choice(draw.words.surnames))


def system(draw: Draw) -> tuple[str, bool]:
    """Return a system message, or "" for none, and whether it wants the answer on its own."""
    rng = draw.rng
    roll = rng.random()
    if roll < 0.3:
        return SYSTEM, True
    if roll < 0.7:
        return "", False
    parts = [rng.choice(_OPENINGS), *rng.sample(_RULES, rng.randint(0, 3))]
    alone = chance(rng, 0.5)
    if alone:
        parts.append(rng.choice(_ALONE))
    return _filled(draw, " ".join(parts)), alone
