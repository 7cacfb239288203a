"""Trajectories as OpenAI's chat messages with their tools: lines of a fine-tuning file, which TRL and others read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from boxwright.jsontypes import JsonObject
from boxwright.models.base import Message
from boxwright.models.wire import wire_message, wire_tool
from boxwright.traces import Trajectory


def chat_rows(trajectories: Iterable[Trajectory]) -> Iterator[JsonObject]:
    """Yield `{"messages", "tools"}` of each trajectory that ended in an answer; others have no last word to learn.

    Thinking is left out: it is no part of the messages that a server is sent.
    """
    for trajectory in trajectories:
        if trajectory.answer is None:
            continue
        row: JsonObject = {"messages": [_wire(trajectory, at) for at in range(len(trajectory.messages))]}
        if trajectory.definitions and trajectory.act_language == "tool-calls":
            row["tools"] = [wire_tool(tool) for tool in trajectory.definitions]
        yield row


def _wire(trajectory: Trajectory, at: int) -> JsonObject:
    message = trajectory.messages[at]
    if message.role == "tool" and not _answers_a_call(trajectory.messages[:at], message):
        # What code printed answers no call of OpenAI's, so its server would refuse it under that role.
        message = Message(role="user", content=message.content)
    return wire_message(message)


def _answers_a_call(before: tuple[Message, ...], result: Message) -> bool:
    return any(call.id == result.tool_call_id for message in before for call in message.tool_calls)
