"""Conversations that every server takes: whole, with ids of their own, no message empty, and text that is Unicode."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain, count

from boxwright.models import Message, ToolCall
from boxwright.models.base import without_halves

NOT_FINISHED = "(no result: the attempt ended before this call did)"


class CallIds:
    """Ids for calls that no earlier call has: many servers begin anew in every answer.

    Args:
        messages: The conversation so far.
    """

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._taken = {call.id for message in messages for call in message.tool_calls}

    def take(self, wanted: str, kind: str) -> str:
        """Return the wanted id, or the first free one of its kind where it is empty or taken."""
        names = chain([wanted] if wanted else [], (f"{kind}_{number}" for number in count(len(self._taken))))
        name = next(one for one in names if one not in self._taken)
        self._taken.add(name)
        return name


def continued(history: Iterable[Message]) -> list[Message]:
    """Return an earlier conversation as one that can go on, without its system message.

    An attempt that was stopped in the middle leaves calls without a result, which servers refuse (OpenAI: "must be
    followed by tool messages"): these are answered by `NOT_FINISHED`. A result without its call is left out.
    """
    whole: list[Message] = []
    waiting: dict[str, str] = {}
    for message in history:
        if message.role == "tool":
            if waiting.pop(message.tool_call_id, None) is not None:
                whole.append(message)
            continue
        whole += _unfinished(waiting)
        waiting = {call.id: call.name for call in message.tool_calls}
        if message.role != "system":
            whole.append(message)
    return whole + _unfinished(waiting)


def sendable(messages: Iterable[Message]) -> list[Message]:
    """Return a conversation without empty answers, and with what the user says twice in a row as one message.

    Several servers and chat templates refuse both: Mistral's wants content or calls, and user and assistant in turn;
    so does Gemma's.
    """
    kept: list[Message] = []
    for message in messages:
        if message.role == "assistant" and not message.content and not message.tool_calls:
            continue
        if kept and message.role == "user" == kept[-1].role:
            joined = f"{kept[-1].content}\n\n{message.content}"
            kept[-1] = kept[-1].model_copy(update={"content": joined})
        else:
            kept.append(message)
    return kept


def sayable(text: str) -> str:
    """Return the text with what is no Unicode replaced: half a surrogate pair can be neither sent nor shown."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return without_halves(text)
    return text


def cleaned(message: Message) -> Message:
    """Return the message with all text in it made `sayable`, and without numbers that JSON has no form for."""
    content, thinking = sayable(message.content), sayable(message.thinking)
    calls = tuple(map(_clean_call, message.tool_calls))
    if content is message.content and thinking is message.thinking and calls == message.tool_calls:
        return message
    return message.model_copy(update={"content": content, "thinking": thinking, "tool_calls": calls})


def _clean_call(call: ToolCall) -> ToolCall:
    """Clean a call that was not made, or code: arguments that cannot be sent make no call."""
    try:
        written = json.dumps(call.arguments, ensure_ascii=False, allow_nan=False)
    except ValueError:  # a number beyond any float, such as 1e999
        raw = sayable(json.dumps(call.arguments, ensure_ascii=False))
        return call.model_copy(update={"arguments": {}, "fault": "the arguments are not JSON", "raw": raw})
    if (said := sayable(written)) is written and sayable(call.raw) is call.raw:
        return call
    return call.model_copy(update={"arguments": json.loads(said), "raw": sayable(call.raw)})


def _unfinished(waiting: dict[str, str]) -> list[Message]:
    return [Message(role="tool", content=NOT_FINISHED, tool_call_id=one, name=name) for one, name in waiting.items()]
