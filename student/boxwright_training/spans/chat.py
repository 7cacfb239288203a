"""A trajectory as the messages that a chat template is given, with the kind of each stretch the student wrote.

Each act language is written here as our agent sends it, so that a model is trained on what it will be asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from boxwright.models import Message, ToolDefinition
from boxwright.models.written import WrittenToken
from boxwright.traces import Trajectory
from boxwright_student.code.names import python_names
from boxwright_student.code.prompt import code_prompt
from boxwright_student.code.reading import code_places
from boxwright_student.code.signatures import ToolSignature
from boxwright_training.kinds import Kind

__all__ = ["Chat", "ChatMessage", "Mistakes", "Part", "Thoughts", "chat_of"]

Thoughts = Literal["template", "content", "drop"]
"""Where thinking goes: into the template's `reasoning_content`, into the content between `<think>` tags, nowhere."""

Mistakes = Literal["masked", "learned"]
"""Whether calls that were refused or failed are learned: the reasoning that mends them is, in any case."""
REFUSED = "Error:"
"""How our student's loop begins the result of a call that failed, and smolagents too."""


class Part(NamedTuple):
    """A stretch [start, end) of a message's content."""

    start: int
    end: int
    kind: Kind


@dataclass(frozen=True)
class ChatMessage:
    """A message as a template is given it."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    parts: tuple[Part, ...] = ()
    """Assistant only: the stretches of the content, none of them blank, in order."""
    thinking: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Name and arguments of each call."""
    observed: bool = False
    """Whether it is what came of an act; a prompt otherwise."""
    supervised: bool = True
    """Assistant only: whether it shall be learned."""
    call_ids: tuple[str, ...] = ()
    """The ids of the calls; of a tool's message, the one that it answers."""
    name: str = ""
    """Tool only: the tool it comes from."""
    written: tuple[WrittenToken, ...] = ()
    """Assistant only: the tokens as its model wrote them, where these were kept; no template is given them."""

    def wire(self) -> dict[str, Any]:
        """Return the message in the form that chat templates read: OpenAI's, with arguments as an object."""
        wire: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.thinking:
            wire["reasoning_content"] = self.thinking
        if self.calls:
            wire["tool_calls"] = [
                {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
                for call_id, (name, arguments) in zip(self.call_ids, self.calls, strict=True)
            ]
        if self.role == "tool":
            wire |= {"tool_call_id": self.call_ids[0], "name": self.name}
        return wire


@dataclass(frozen=True)
class Chat:
    """The conversation, and the tools that are shown."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[dict[str, Any], ...] = field(default=())


def chat_of(trajectory: Trajectory, thoughts: Thoughts = "template", mistakes: Mistakes = "masked") -> Chat:
    """Return a trajectory as a template is given it.

    Reasoning is the thinking, the content beside calls, and what stands around code or around acts that are text; an
    act is a call, code, an act that is text, or the answer. A message whose calls could not be read is not supervised,
    nor, where mistakes are masked, one whose calls all failed (as in SWE-Lego): what mended them is learned.
    """
    language = trajectory.act_language
    write = {"tool-calls": _with_calls, "code": _with_code, "text": _with_text}[language]
    messages = [_common(message, thoughts) for message in trajectory.messages]
    written = _Ids().of([replace(write(message), written=message.written) for message in messages])
    if mistakes == "masked":
        mistaken = _mistaken(trajectory)
        written = [replace(one, supervised=False) if at in mistaken else one for at, one in enumerate(written)]
    if language == "text":
        written = _observing(written)
    if language == "code" and trajectory.definitions:
        written = _told_of_code(written, trajectory.definitions)
    tools = trajectory.definitions if language == "tool-calls" else ()
    return Chat(tuple(_joined(written)), tuple({"type": "function", "function": tool.model_dump()} for tool in tools))


def _common(message: Message, thoughts: Thoughts) -> Message:
    if not message.thinking or thoughts == "template":
        return message
    if thoughts == "drop":
        return message.model_copy(update={"thinking": ""})
    head = f"<think>\n{message.thinking.strip()}\n</think>\n\n"
    acts = tuple((start + len(head), end + len(head)) for start, end in message.acts)
    return message.model_copy(update={"thinking": "", "content": head + message.content, "acts": acts})


def _with_calls(message: Message) -> ChatMessage:
    if message.role == "tool":
        return ChatMessage(
            "tool", message.content, observed=True, call_ids=(message.tool_call_id,), name=message.name or "tool"
        )
    if message.role != "assistant":
        return ChatMessage(message.role, message.content)
    answers = () if message.tool_calls else ((_after_thought(message.content), len(message.content)),)
    return ChatMessage(
        "assistant",
        message.content,
        _parts(message.content, answers),
        message.thinking.strip(),
        calls=tuple((call.name, call.arguments) for call in message.tool_calls),
        supervised=not any(call.fault for call in message.tool_calls),
        call_ids=tuple(call.id for call in message.tool_calls),
    )


def _with_code(message: Message) -> ChatMessage:
    """As `code_acts` sends it: code stands in the content, and what it gave is the user's next message."""
    if message.role == "tool":
        return ChatMessage("user", f"Observation:\n{message.content}", observed=True)
    if message.role != "assistant":
        return ChatMessage(message.role, message.content)
    answer = (_after_thought(message.content), len(message.content))
    places = code_places(message.content) if message.tool_calls else (answer,)
    return ChatMessage("assistant", message.content, _parts(message.content, places), message.thinking.strip())


def _with_text(message: Message) -> ChatMessage:
    if message.role == "assistant":
        return ChatMessage(
            "assistant", message.content, _parts(message.content, message.acts), message.thinking.strip()
        )
    return ChatMessage("system" if message.role == "system" else "user", message.content)


def _after_thought(content: str) -> int:
    """Return where an answer begins behind a thought that `thoughts="content"` put before it."""
    return content.find("</think>\n\n") + len("</think>\n\n") if content.startswith("<think>\n") else 0


def _parts(content: str, acts: tuple[tuple[int, int], ...]) -> tuple[Part, ...]:
    """Cut the content at its acts; what is blank goes to the stretch before it, or else after it."""
    cuts = sorted({0, len(content), *(place for act in acts for place in act)})
    parts: list[Part] = []
    for start, end in pairwise(cuts):
        kind = Kind.ACT if any(a <= start and end <= b for a, b in acts) else Kind.REASON
        if parts and (kind == parts[-1].kind or not content[start:end].strip()):
            parts[-1] = parts[-1]._replace(end=end)
        elif parts and not content[parts[-1].start : parts[-1].end].strip():
            parts[-1] = Part(parts[-1].start, end, kind)
        else:
            parts.append(Part(start, end, kind))
    return tuple(part for part in parts if content[part.start : part.end].strip())


class _Ids:
    """Nine letters and digits for each call, which even Mistral's templates take."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, messages: list[ChatMessage]) -> list[ChatMessage]:
        return [self._renamed(message) for message in messages]

    def _renamed(self, message: ChatMessage) -> ChatMessage:
        ids = tuple(self._known.setdefault(one, f"call{len(self._known):05}") for one in message.call_ids)
        return replace(message, call_ids=ids) if ids else message


def _told_of_code(messages: list[ChatMessage], definitions: tuple[ToolDefinition, ...]) -> list[ChatMessage]:
    aliases = python_names(tool.name for tool in definitions)
    prompt = code_prompt(ToolSignature(tool, aliases[tool.name]) for tool in definitions)
    if messages and messages[0].role == "system":
        return [ChatMessage("system", f"{messages[0].content}\n\n{prompt}"), *messages[1:]]
    return [ChatMessage("system", prompt), *messages]


def _mistaken(trajectory: Trajectory) -> set[int]:
    """Return the places of messages whose calls, or whose code, all failed."""
    failed = {one.tool_call_id for one in trajectory.messages if one.role == "tool" and one.content.startswith(REFUSED)}
    return {
        place
        for place, one in enumerate(trajectory.messages)
        if one.tool_calls and failed.issuperset(call.id for call in one.tool_calls)
    }


def _observing(messages: list[ChatMessage]) -> list[ChatMessage]:
    """Where acts are text, what the user says after the first of them is what came of them."""
    first = next((place for place, one in enumerate(messages) if one.role == "assistant"), len(messages))
    seen = [ChatMessage("user", one.content, observed=True) if one.role == "user" else one for one in messages[first:]]
    return messages[:first] + seen


def _joined(messages: list[ChatMessage]) -> list[ChatMessage]:
    """Leave out empty answers and join what the user says twice in a row, as `sendable` does for every server."""
    kept: list[ChatMessage] = []
    for message in messages:
        if message.role == "assistant" and not (message.content.strip() or message.calls or message.thinking):
            continue
        if kept and message.role == "user" == kept[-1].role:
            content = f"{kept[-1].content}\n\n{message.content}"
            kept[-1] = ChatMessage("user", content, observed=kept[-1].observed or message.observed)
        else:
            kept.append(message)
    return kept
