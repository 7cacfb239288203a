"""Estimates how many tokens a prompt takes, where no tokenizer is at hand; rather too many than too few."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from functools import lru_cache

from boxwright.models.base import Message, ToolDefinition

_PER_MESSAGE = 8
"""The role, and the marks that a template puts around a message."""
_PER_TOOL = 12
_TOOLS_PREAMBLE = 150
"""What a template says about tools before it lists them."""
_PIECES = re.compile(r"([A-Z]?[a-z]+|[A-Z]+)|([0-9]+)|( +|\n+|\t+)|([\x21-\x7e])|([^\x00-\x7f]+)|[\x00-\x1f\x7f]")
_LETTERS_PER_TOKEN = 5
"""Of a long word; short and common ones are one token, and a capital begins another."""
_SCRIPTS = (
    (0x0250, 1.0),  # Latin with marks
    (0x0590, 0.7),  # Greek, Cyrillic, Armenian
    (0x0900, 1.2),  # Hebrew, Arabic
    (0x2000, 1.6),  # Indic, Thai, Georgian and others of three bytes a character
    (0x2E80, 1.6),  # punctuation and signs
    (0xFB00, 1.3),  # Chinese, Japanese, Korean
    (0x10000, 2.0),
    (0x110000, 3.0),  # emoji and rare signs, of four bytes
)
"""Up to which code point a character takes how many tokens, as careful values over today's vocabularies."""
_FORGET = 0.1
"""How far a ratio below the learned one pulls it down."""


def estimate_tokens(messages: Sequence[Message], tools: Sequence[ToolDefinition] = ()) -> int:
    """Return about how many tokens a prompt takes, for English, code and JSON a fifth to a half too many.

    Words count by their length, digits and signs one each (Qwen's and Gemma's vocabularies split numbers so), runs of
    white space by the sixteen, other scripts by what a character takes. Thinking is not sent, so it does not count.
    """
    count = sum(_message(message) for message in messages)
    if tools:
        count += _TOOLS_PREAMBLE + sum(_PER_TOOL + _text(_json(tool.model_dump())) for tool in tools)
    return math.ceil(count)


class TokenGauge:
    """An estimate that learns from the counts that a model's server gives.

    A prompt that took more than was estimated raises later estimates at once; one that took less lowers them slowly,
    since one easy prompt says little about the next.
    """

    def __init__(self) -> None:
        self._ratio = 1.0

    def estimate(self, messages: Sequence[Message], tools: Sequence[ToolDefinition] = ()) -> int:
        """Return about how many tokens a prompt takes for this model."""
        return math.ceil(estimate_tokens(messages, tools) * self._ratio)

    def learn(self, messages: Sequence[Message], tools: Sequence[ToolDefinition], prompt_tokens: int) -> None:
        """Learn what a prompt really took, as `Usage.prompt_tokens` has it; 0 is no count and teaches nothing."""
        if prompt_tokens <= 0:
            return
        ratio = prompt_tokens / max(1, estimate_tokens(messages, tools))
        self._ratio = ratio if ratio > self._ratio else self._ratio + _FORGET * (ratio - self._ratio)


def _message(message: Message) -> float:
    calls = sum(_PER_MESSAGE + _text(call.name) + _text(_json(call.arguments)) for call in message.tool_calls)
    return _PER_MESSAGE + _text(message.content) + calls


@lru_cache(maxsize=2048)  # the same conversation is counted at every step
def _text(text: str) -> float:
    count = 0.0
    for letters, digits, space, sign, other in _PIECES.findall(text):
        if letters:
            count += math.ceil(len(letters) / _LETTERS_PER_TOKEN)
        elif digits:
            count += len(digits)
        elif space:
            # A single space goes with the word behind it.
            count += 0 if space == " " else math.ceil(len(space) / 16)
        elif sign:
            count += 1
        else:
            count += sum(map(_character, other)) if other else 1
    return count


def _character(character: str) -> float:
    point = ord(character)
    return next(tokens for end, tokens in _SCRIPTS if point < end)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
