"""Conversations put together message by message: each call with an id of its own, each result with its call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from boxwright.models import Message, ToolCall, ToolDefinition
from boxwright.models.wire import read_call
from boxwright.models.written import WrittenToken
from boxwright.traces import Ended, KeptLanguage, Trajectory
from boxwright_student.calls.thinking import split_thinking
from boxwright_student.conversation import CallIds
from boxwright_training.importers.lines import acts_in, answer_of, begins_with_head, pieces
from boxwright_training.importers.row import Row, Unreadable, made

NO_PARAMETERS = {"type": "object", "properties": {}}


class Talk:
    """A conversation that grows; its messages are `messages`."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._ids = CallIds()
        self._waiting: dict[str, ToolCall] = {}

    def say(self, role: str, content: str) -> None:
        """Add what the system or the user says."""
        if role not in ("system", "user"):
            raise Unreadable(f"nobody here is called {role!r}")
        self.messages.append(Message.model_validate({"role": role, "content": content}))

    def answer(
        self,
        content: str,
        thinking: str = "",
        calls: Sequence[tuple[str, str, Any]] = (),
        written: tuple[WrittenToken, ...] = (),
    ) -> None:
        """Add what the model says: text, thinking, calls as id (or nothing), name and arguments as written, its tokens.

        Thinking between tags at the beginning of the text is thinking.
        """
        content, thought = thought_first(content)
        thinking = "\n".join(filter(None, (thinking, thought)))
        made_calls: list[ToolCall] = []
        self._waiting = {}
        for wanted, name, arguments in calls:
            if not name:
                raise Unreadable("a call names no tool")
            call = read_call(self._ids.take(wanted, "call"), name, arguments)
            self._waiting[wanted or call.id] = call
            made_calls.append(call)
        said = Message(
            role="assistant", content=content, thinking=thinking, tool_calls=tuple(made_calls), written=written
        )
        self.messages.append(said)

    def result(self, content: str, call_id: str = "", name: str = "") -> None:
        """Add what came of a call: the one of that id, else the first of that name, else the first without a result.

        Raises:
            Unreadable: No call waits for a result.
        """
        named = (key for key, call in self._waiting.items() if call.name == name)
        key = call_id if call_id in self._waiting else next(named, next(iter(self._waiting), None))
        if key is None:
            raise Unreadable(f"a result stands there without its call: {content[:80]!r}")
        call = self._waiting.pop(key)
        self.messages.append(Message(role="tool", content=content, tool_call_id=call.id, name=call.name))

    def join(self) -> str:
        """Take back the last message where the model said it without a call, for what it goes on with."""
        last = self.messages[-1] if self.messages else None
        if last is None or last.role != "assistant" or last.tool_calls:
            return ""
        return self.messages.pop().content


def thought_first(text: str) -> tuple[str, str]:
    """Return a text and the thinking that stands between tags at its beginning; tags further on are text."""
    if not text.lstrip()[:7].lower().startswith(("<think", "[think]", "◁think▷")):
        return text, ""
    said, thought = split_thinking(text)
    return said.lstrip("\n"), thought


def talk_trajectory(row: Row, messages: Sequence[Message], tools: Any = None, **rest: Any) -> Trajectory:
    """Return the trajectory of a conversation: its answer is the last thing said without a call.

    A conversation that ends in a call ended there (`empty`, which says that no answer was asked for); one that ends in
    a result was cut off (`steps`). Where there are no calls and the model writes ReAct's lines, its acts are text.

    Raises:
        Unreadable: Nobody asks, or the model says nothing.
    """
    language, messages = _language(messages)
    asked = next((message.content for message in messages if message.role == "user"), None)
    said = [message for message in messages if message.role == "assistant"]
    if asked is None or not said:
        raise Unreadable("nobody asks anything" if asked is None else "the model says nothing")
    answer, ended = _end(messages[-1], language)
    shown = definitions(tools)
    values: dict[str, Any] = {
        "prompt": asked,
        "answer": answer,
        "ended": ended,
        "act_language": language,
        "definitions": shown,
        "tools": tuple(tool.name for tool in shown),
    }
    return made(row, messages, **(values | rest))


def definitions(tools: Any) -> tuple[ToolDefinition, ...]:
    """Return tools in OpenAI's form, or bare, or either as JSON text; none where there are none.

    Raises:
        ValueError: It is text, but not JSON; AttributeError, KeyError and TypeError: it is no list of tools.
    """
    listed = json.loads(tools) if isinstance(tools, str) and tools.strip() else tools or ()
    bare = [tool.get("function", tool) for tool in listed]
    return tuple(
        ToolDefinition(
            name=tool["name"],
            description=tool.get("description") or "",
            parameters=tool.get("parameters") or tool.get("input_schema") or NO_PARAMETERS,
        )
        for tool in bare
    )


def _language(messages: Sequence[Message]) -> tuple[KeptLanguage, Sequence[Message]]:
    said = [message for message in messages if message.role == "assistant"]
    if not said or any(one.tool_calls for one in said) or not begins_with_head(said[0].content):
        return "tool-calls", messages
    marked = [_marked(message) for message in messages]
    return ("text", marked) if any(message.acts for message in marked) else ("tool-calls", messages)


def _marked(message: Message) -> Message:
    if message.role != "assistant":
        return message
    return message.model_copy(update={"acts": acts_in(message.content, pieces(message.content))})


def _end(last: Message, language: KeptLanguage) -> tuple[str | None, Ended]:
    if last.role != "assistant":
        return None, "steps"
    if language == "text" and last.acts:
        start, end = last.acts[-1]
        answer = answer_of(last.content[start:end])
        return answer, "empty" if answer is None else "answered"
    if last.tool_calls or not last.content.strip():
        return None, "empty"
    return last.content.strip(), "answered"
