"""How a model acts: what it is sent, and what its completions come to. Here by tool calls; by code in `code_acts`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from boxwright.jsontypes import canonical
from boxwright.models import Completion, Message, ToolCall, ToolDefinition
from boxwright.models.tokens import estimate_tokens
from boxwright_student.conversation import CallIds, sendable
from boxwright_student.mounted import Mounted
from boxwright_student.toolset import ToolOutcome

if TYPE_CHECKING:  # none of these is needed before the first completion
    from boxwright_student.calls import Fault
    from boxwright_student.vote import Election, RunCode

Sent: TypeAlias = tuple[Sequence[Message], Sequence[ToolDefinition]]
"""What a model is sent: messages, and tool definitions beside them."""
Form: TypeAlias = Callable[[Sequence[Message]], Sent]
"""Turns a conversation into what the model is sent."""


@dataclass(frozen=True)
class Turn:
    """What one completion comes to: an answer, or acts, or what has to be written again."""

    message: Message
    """The completion as the conversation keeps it."""
    answer: str | None = None
    """The final answer; None where there are acts or corrections."""
    calls: tuple[ToolCall, ...] = ()
    code: str = ""
    corrections: tuple[Message, ...] = ()
    """What the model is told of what could not be read."""
    notes: tuple[str, ...] = ()
    """What was repaired."""

    @property
    def acts(self) -> bool:
        """Whether it does something."""
        return bool(self.calls or self.code)

    @property
    def key(self) -> str:
        """What tells these acts from others."""
        calls = [[call.name, call.arguments] for call in self.calls]
        return canonical([calls, self.code, [one.content for one in self.corrections]])


@dataclass(frozen=True)
class Done:
    """What came of a turn's acts."""

    observations: tuple[Message, ...] = ()
    answer: str | None = None
    """The final answer, where the acts themselves gave it."""


class Acts(AbstractAsyncContextManager["Acts"], Protocol):
    """One way of acting, for the time of one attempt."""

    run_code: RunCode | None
    """Runs the code of candidates; None where acts are not code."""

    def weigh(self, tool: ToolDefinition) -> int:
        """Return about how many tokens one more tool takes in what the model is sent."""

    def form(self, tools: Sequence[ToolDefinition], *, constrained: bool) -> Form:
        """Return what turns the conversation into what the model is sent, tools and all.

        Args:
            tools: The tools that are shown.
            constrained: The answer is going to be constrained to a call's schema, so the tools have to be in the text.
        """

    def read(self, completion: Completion, tools: Sequence[ToolDefinition]) -> Turn:
        """Return what a completion comes to, with all tools that may be called."""

    async def do(self, turn: Turn) -> Done:
        """Do a turn's acts.

        Raises:
            CallerMustHandle: The tools cannot be reached at all.
        """

    def elected(self, turn: Turn, election: Election) -> Done:
        """Return what came of the acts of a turn that won a vote, which has done them."""


class ToolCallActs:
    """Acts that are tool calls: the server's own where it has them, or written in the text.

    Args:
        tools: The tools of this attempt.
        native: Whether the model's server takes tool definitions.
        ids: Gives the calls their ids.
    """

    run_code: RunCode | None = None

    def __init__(self, tools: Mounted, *, native: bool, ids: CallIds) -> None:
        self._tools, self._native, self._ids = tools, native, ids

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """There is nothing to end."""

    def weigh(self, tool: ToolDefinition) -> int:
        """See `Acts.weigh`; in the text a definition is the same JSON."""
        return estimate_tokens((), (tool, tool)) - estimate_tokens((), (tool,))  # without what is said before the first

    def form(self, tools: Sequence[ToolDefinition], *, constrained: bool) -> Form:
        """See `Acts.form`."""
        if self._native and not constrained:
            return lambda messages: (sendable(messages), tools)
        from boxwright_student.calls import prompted

        return lambda messages: (sendable(prompted(messages, tools)), ())

    def read(self, completion: Completion, tools: Sequence[ToolDefinition]) -> Turn:
        """See `Acts.read`."""
        from boxwright_student.calls import read_calls

        native = {(named := self._named(call)).id: named for call in completion.tool_calls}
        thought = f"<think>{completion.thinking}</think>" if completion.thinking else ""
        finished = completion.finish in ("stop", "tool_calls")
        reading = read_calls(thought + completion.text, list(native.values()), tools, finished=finished)
        thinking = reading.thinking
        if not reading.calls and not reading.faults:
            return Turn(Message(role="assistant", content=reading.text, thinking=thinking), answer=reading.text)
        # What the server read as a call has to be answered as one, or it refuses the conversation.
        answered = [fault for fault in reading.faults if fault.id in native]
        own = native.keys() - {fault.id for fault in answered}
        calls = tuple(self._kept(call, own) for call in reading.calls)
        written = [fault for fault in reading.faults if fault.id not in native]
        faulty = [native[fault.id] for fault in answered]
        message = Message(
            role="assistant",
            content="\n".join(filter(None, [reading.text, *(fault.written for fault in written)])),
            tool_calls=(*calls, *faulty),
            thinking=thinking,
        )
        corrections = [observation(call, _refused(fault)) for call, fault in zip(faulty, answered, strict=True)]
        corrections += [Message(role="user", content=fault.message) for fault in written]
        return Turn(message, calls=calls, corrections=tuple(corrections), notes=reading.repairs)

    def _named(self, call: ToolCall) -> ToolCall:
        """Return a call under an id that no earlier one has."""
        return call.model_copy(update={"id": self._ids.take(call.id, "call")})

    def _kept(self, call: ToolCall, own: set[str]) -> ToolCall:
        """Return a call that was read: one of the server's own as it is, one out of the text under an id of its own."""
        if call.id in own:
            own.remove(call.id)  # the reader counts the calls in the text, so one of them may be called the same
            return call
        return self._named(call)

    async def do(self, turn: Turn) -> Done:
        """See `Acts.do`. Calls that change nothing are made at once, others one after the other."""
        if all(self._tools.read_only(call.name) for call in turn.calls):
            outcomes = await asyncio.gather(*(self._tools.make(call) for call in turn.calls))
        else:
            outcomes = [await self._tools.make(call) for call in turn.calls]
        return _done(turn, outcomes)

    def elected(self, turn: Turn, election: Election) -> Done:
        """See `Acts.elected`."""
        return _done(turn, election.outcomes)


FAILED = "Error: "
"""How an observation of a call that failed begins."""
_NOT_MADE = ToolOutcome("not called, since another call beside it could not be read", failed=True)


def observation(call: ToolCall, outcome: ToolOutcome) -> Message:
    """Return what came of a call as the conversation keeps it."""
    text = f"{FAILED}{outcome.text}" if outcome.failed else outcome.text
    return Message(role="tool", content=text, tool_call_id=call.id, name=call.name)


def tells_not_made(message: Message) -> bool:
    """Say whether a message tells the model of a call that was not made; read off the text, for no more is kept."""
    from boxwright_student.calls import tells_of_fault

    text = message.content.removeprefix(FAILED)
    return message.role in ("tool", "user") and (tells_of_fault(text) or text.startswith(_NOT_MADE.text))


def _done(turn: Turn, outcomes: Sequence[ToolOutcome]) -> Done:
    # A turn with corrections wins a vote only where all had some, and then its calls are not made.
    told = outcomes or [_NOT_MADE] * len(turn.calls)
    return Done(tuple(observation(call, outcome) for call, outcome in zip(turn.calls, told, strict=True)))


def _refused(fault: Fault) -> ToolOutcome:
    return ToolOutcome(fault.message, failed=True)
