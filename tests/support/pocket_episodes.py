"""Small episodes and a tokenizer for the pocket student's tests: a source that a feed's processes can import."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

Conversation = tuple[list[dict[str, Any]], list[dict[str, Any]]]
_SYLLABLES = ["ba", "be", "ka", "ki", "la", "lo", "ma", "mu", "na", "ne", "sa", "so", "ta", "tu"]


def word(randomness: random.Random) -> str:
    """Give a word of two to four syllables."""
    return "".join(randomness.choice(_SYLLABLES) for _ in range(randomness.randint(2, 4)))


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """Give a call as it stands in a message."""
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}


def conversation(randomness: random.Random, level: float) -> Conversation:
    """Make tools, and a question that one of them answers."""
    tools: list[dict[str, Any]] = []
    for _ in range(1 + int(level * 3)):
        kind = randomness.choice(["integer", "string"])
        schema = {"type": "object", "properties": {word(randomness): {"type": kind}}}
        tools.append({"type": "function", "function": {"name": word(randomness), "parameters": schema}})
    function = randomness.choice(tools)["function"]
    name, schema = next(iter(function["parameters"]["properties"].items()))
    value: Any = randomness.randint(0, 999) if schema["type"] == "integer" else word(randomness)
    result = str(randomness.randint(0, 999))
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": f"{function['name']} with {name} {value}, please."},
        {"role": "assistant", "content": "", "tool_calls": [call(function["name"], **{name: value})]},
        {"role": "tool", "tool_call_id": "c", "content": result},
        {"role": "assistant", "content": f"The answer is {result}."},
    ]
    return tools, messages


def source() -> Callable[[random.Random, float], Conversation]:
    """Give the source, as a feed's processes ask for it."""
    return conversation


def source_of_nothing() -> Callable[[random.Random, float], Conversation]:
    """Fail, as where the lexicon is missing."""
    raise FileNotFoundError("there is no source")


def write_tokenizer(path: Path, size: int = 512) -> Path:
    """Learn a tokenizer from such episodes."""
    from boxwright_training.pocket.chat import render, text_of
    from boxwright_training.pocket.tokenizer import train_tokenizer

    made = (conversation(random.Random(number), 1.0) for number in range(200))
    train_tokenizer((text_of(render(messages, tools)) for tools, messages in made), size).save(str(path))
    return path
