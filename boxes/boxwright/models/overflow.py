"""Reads in a server's refusal that a prompt did not fit, in the words of each server, and how large it was."""

from __future__ import annotations

import re

from boxwright.errors import ContextOverflow

_DOES_NOT_FIT = re.compile(
    r"context_length_exceeded|exceed_context_size"  # OpenAI's code; llama.cpp's type
    r"|(?:maximum|max) (?:context|model|prompt|input) length"  # OpenAI, vLLM, SGLang
    r"|exceed\w*(?: \w+){0,4} (?:context|maximum number of tokens)"  # llama.cpp, Ollama, LM Studio, TGI
    r"|context (?:size|length|window)(?: \w+){0,3} exceed"
    r"|context the overflows|greater than the context length"  # LM Studio
    r"|(?:prompt|input) is too long|reduce the length of the (?:input|prompt|messages)",
    re.IGNORECASE,
)
_PROMPT = re.compile(
    r"n_prompt_tokens\W+(\d+)|request \((\d+) tokens\)|(\d+) in the messages|(\d+) input tokens"
    r"|resulted in (\d+) tokens|prompt \(length (\d+)\)|keep the first (\d+) tokens"
    r"|requested (\d+) tokens(?! \()|prompt is too long: (\d+) tokens",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"n_ctx\W+(\d+)|context size \((\d+) tokens\)|maximum (?:context|model) length (?:is|of) (\d+)"
    r"|context length of only (\d+)",
    re.IGNORECASE,
)


def read_overflow(uri: str, said: str, context_tokens: int | None, body: str = "") -> ContextOverflow | None:
    """Return the overflow that a server's message tells of, or None where it tells of something else.

    Args:
        uri: The model.
        said: The message.
        context_tokens: The window as far as it is known, for a message that does not name it.
        body: All that the message came in, where there is more.
    """
    told = f"{said} {body}"
    if not _DOES_NOT_FIT.search(told):
        return None
    return ContextOverflow(uri, _number(_PROMPT, told), _number(_CONTEXT, told) or context_tokens, said[:300])


def _number(pattern: re.Pattern[str], said: str) -> int | None:
    found = pattern.search(said)
    return int(next(group for group in found.groups() if group)) if found else None
