"""ShareGPT's form of conversations with tools, as LLaMA-Factory and Hermes write it.

LLaMA-Factory has turns of their own for calls and results: `function_call` (a call or a list of them, as JSON) and
`observation`. Hermes has both between tags in the text: `<tool_call>` in what `gpt` says, with JSON or a Python
literal, and `<tool_response>` in what `tool` says. The calls are taken out of the text.

Sources: LLaMA-Factory's data/README.md; NousResearch/hermes-function-calling-v1.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from boxwright.traces import Trajectory
from boxwright_training.importers.row import Row, Unreadable, as_text, objects
from boxwright_training.importers.talk import Talk, talk_trajectory, thought_first

_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_RESPONSE = re.compile(r"<tool_response>\n?(.*?)\n?</tool_response>", re.DOTALL)
_SPEAKERS = {"human": "user", "user": "user", "system": "system", "gpt": "gpt", "assistant": "gpt", "model": "gpt"}
_RESULTS = ("observation", "tool", "function_response", "tool_response")


def fits(value: Any) -> bool:
    """Say whether this is a conversation of turns with `from` and `value`."""
    turns: Any = value.get("conversations") if isinstance(value, dict) else None
    return objects(turns) and all({"from", "value"} <= turn.keys() for turn in turns)


def read(row: Row) -> Trajectory:
    """Return the trajectory of a conversation.

    Raises:
        Unreadable: A call that cannot be read, a result without its call, a speaker that nobody knows.
    """
    talk = Talk()
    if row.value.get("system"):
        talk.say("system", row.value["system"])
    for turn in row.value["conversations"]:
        _add(talk, turn["from"], as_text(turn["value"]))
    return talk_trajectory(row, talk.messages, row.value.get("tools"))


def _add(talk: Talk, speaker: str, value: str) -> None:
    if speaker == "function_call":
        said, thinking = thought_first(value)
        talk.answer(talk.join(), thinking, list(_read_calls(said)))
    elif speaker in _RESULTS:
        for result in _RESPONSE.findall(value) or [value]:
            talk.result(result)
    elif _SPEAKERS.get(speaker) == "gpt":
        calls = [call for written in _CALL.findall(value) for call in _read_calls(written)]
        text = _CALL.sub("", value).strip() if calls else value
        if "<tool_call>" in text:
            raise Unreadable("a <tool_call> is not closed")
        talk.answer(text, calls=calls)
    else:
        talk.say(_SPEAKERS.get(speaker, speaker), value)


def _read_calls(written: str) -> Iterator[tuple[str, str, Any]]:
    """Read one call or a list of them."""
    value = _literal(written)
    for call in value if isinstance(value, list) else [value]:
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise Unreadable(f"this is no call: {str(call)[:80]}")
        yield "", call["name"], call.get("arguments", call.get("parameters"))


def _literal(written: str) -> Any:
    try:
        return json.loads(written)
    except ValueError:
        pass
    try:
        return ast.literal_eval(written)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise Unreadable(f"a call is neither JSON nor a Python literal: {written[:80]!r}") from error
