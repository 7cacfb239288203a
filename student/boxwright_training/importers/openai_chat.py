"""Chats in OpenAI's form: messages with roles, tool calls and, in older ones, function calls.

Read are rows `{"messages": […], "tools": […]}`, the same under `conversations`, and bare lists of messages. Reasoning
under `reasoning_content`, `reasoning` or `thinking` is thinking. Log-probabilities under `logprobs`, as a completion's
choice has them beside its message (`{"content": […]}`, or the list alone), are kept where they have `top_logprobs`.

Source: OpenAI's chat completions API, and its form for fine-tuning.
"""

from __future__ import annotations

from typing import Any

from boxwright.models.written import WrittenToken, read_written
from boxwright.traces import Trajectory
from boxwright_training.importers.row import NO_ROW, Row, Unreadable, objects, text_of
from boxwright_training.importers.talk import Talk, talk_trajectory

_ROLES = {"developer": "system", "human": "user", "model": "assistant", "function": "tool", "observation": "tool"}
_THINKING = ("reasoning_content", "reasoning", "thinking")


def fits(value: Any) -> bool:
    """Say whether this is a chat."""
    listed = messages_of(value)
    return objects(listed) and all("role" in message for message in listed)


def read(row: Row) -> Trajectory:
    """Return the trajectory of a chat.

    Raises:
        Unreadable: A result without its call, a part that is no text, a role that nobody has, log-probabilities in
            another form than OpenAI's, a message that is not to be learned.
    """
    talk = Talk()
    for message in messages_of(row.value):
        add(talk, message)
    named = row.value if isinstance(row.value, dict) else {}
    return talk_trajectory(row, talk.messages, named.get("tools") or named.get("functions"))


def messages_of(value: Any) -> Any:
    """Return the list of messages, wherever a chat has it."""
    return value.get("messages") or value.get("conversations") if isinstance(value, dict) else value


def add(talk: Talk, message: dict[str, Any]) -> None:
    """Add one message to a conversation.

    Raises:
        Unreadable: See `read`.
    """
    role = _ROLES.get(message["role"], message["role"])
    content = text_of(message.get("content"))
    if role == "assistant":
        if message.get("weight") == 0:  # OpenAI's form for fine-tuning
            raise Unreadable("a message has weight 0, so it is not to be learned, which cannot be kept; take it out")
        talk.answer(content, thinking_of(message), _calls(message), _written(message))
    elif role == "tool":
        ids = message.get("tool_call_ids") or [message.get("tool_call_id") or ""]
        for place, call_id in enumerate(ids):  # SWE-agent answers several calls with one message
            talk.result(content if place == 0 else "", call_id, message.get("name") or "")
    else:
        talk.say(role, content)


def thinking_of(message: dict[str, Any]) -> str:
    """Return the reasoning that stands beside a message's content."""
    blocks = message.get("thinking_blocks") or ()  # Anthropic's, as SWE-agent keeps them
    given = [message.get(name) for name in _THINKING] + ["".join(str(one.get("thinking") or "") for one in blocks)]
    return next((one for one in given if isinstance(one, str) and one.strip()), "")


def _written(message: dict[str, Any]) -> tuple[WrittenToken, ...]:
    told = message.get("logprobs")
    try:
        return read_written((told.get("content") if isinstance(told, dict) else told) or ())
    except NO_ROW as error:
        raise Unreadable(
            f"its logprobs are not in OpenAI's form ({type(error).__name__}: {str(error)[:80]})"
        ) from error


def _calls(message: dict[str, Any]) -> list[tuple[str, str, Any]]:
    listed = [(call.get("id") or "", call["function"]) for call in message.get("tool_calls") or ()]
    if message.get("function_call"):
        listed.append(("", message["function_call"]))
    if not all(isinstance(function, dict) for _, function in listed):
        raise Unreadable("a call names no function")
    return [(call_id, function.get("name") or "", function.get("arguments")) for call_id, function in listed]
