"""How a model acts: what it is sent, and what its completions come to. Here by tool calls; by code in `code_acts`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Protocol, Self

from boxwright.jsontypes import canonical
from boxwright.models import Completion, Message, ToolCall, ToolDefinition
from boxwright.traces import ActLanguage
from boxwright_student.mounted import Mounted
from boxwright_student.toolset import ToolOutcome

if TYPE_CHECKING:  # none of these is needed before the first completion
    from boxwright_student.calls import Fault
    from boxwright_student.vote import Election, RunCode


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

    language: ActLanguage
    run_code: RunCode | None
    """Runs the code of candidates; None where acts are not code."""

    def request(
        self, messages: Sequence[Message], tools: Sequence[ToolDefinition], *, constrained: bool
    ) -> tuple[Sequence[Message], Sequence[ToolDefinition]]:
        """Return what the model is sent: the conversation and the tools, in the form it takes.

        Args:
            messages: The conversation.
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
    """

    language: ActLanguage = "tool-calls"
    run_code: RunCode | None = None

    def __init__(self, tools: Mounted, *, native: bool) -> None:
        self._tools, self._native = tools, native
        self._ids: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """There is nothing to end."""

    def request(
        self, messages: Sequence[Message], tools: Sequence[ToolDefinition], *, constrained: bool
    ) -> tuple[Sequence[Message], Sequence[ToolDefinition]]:
        """See `Acts.request`."""
        if self._native and not constrained:
            return messages, tools
        from boxwright_student.calls import prompted

        return prompted(messages, tools), ()

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
        calls = tuple(call if call.id in native else self._named(call) for call in reading.calls)
        # What the server read as a call has to be answered as one, or it refuses the conversation.
        answered = [fault for fault in reading.faults if fault.id in native]
        written = [fault for fault in reading.faults if fault.id not in native]
        faulty = [native[fault.id] for fault in answered]
        message = Message(
            role="assistant",
            content=completion.text if written else reading.text,
            tool_calls=(*calls, *faulty),
            thinking=thinking,
        )
        corrections = [observation(call, _refused(fault)) for call, fault in zip(faulty, answered, strict=True)]
        corrections += [Message(role="user", content=fault.message) for fault in written]
        return Turn(message, calls=calls, corrections=tuple(corrections), notes=reading.repairs)

    def _named(self, call: ToolCall) -> ToolCall:
        """Return a call under an id that no earlier one has: many servers begin anew in every answer."""
        names = chain([call.id] if call.id else [], (f"call_{number}" for number in count()))
        name = next(one for one in names if one not in self._ids)
        self._ids.add(name)
        return call.model_copy(update={"id": name})

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


_NOT_MADE = ToolOutcome("not called, since another call beside it could not be read", failed=True)


def observation(call: ToolCall, outcome: ToolOutcome) -> Message:
    """Return what came of a call as the conversation keeps it."""
    text = f"Error: {outcome.text}" if outcome.failed else outcome.text
    return Message(role="tool", content=text, tool_call_id=call.id, name=call.name)


def _done(turn: Turn, outcomes: Sequence[ToolOutcome]) -> Done:
    # A turn with corrections wins a vote only where all had some, and then its calls are not made.
    told = outcomes or [_NOT_MADE] * len(turn.calls)
    return Done(tuple(observation(call, outcome) for call, outcome in zip(turn.calls, told, strict=True)))


def _refused(fault: Fault) -> ToolOutcome:
    return ToolOutcome(fault.message, failed=True)
