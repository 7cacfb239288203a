"""Acts that are code: Python that composes tools, run by Monty. A trajectory keeps each as a call of `python`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from boxwright.models import Completion, InnerCall, Message, ToolCall, ToolDefinition
from boxwright.models.tokens import estimate_tokens
from boxwright_student.acts import Done, Form, Turn, observation
from boxwright_student.calls.thinking import split_thinking
from boxwright_student.code import (
    CodeResult,
    CodeSession,
    answer_of,
    breaks_off,
    code_prompt,
    code_signature,
    read_code,
)
from boxwright_student.context import LONGEST_UNBOUNDED, shorten
from boxwright_student.conversation import CallIds, sayable, sendable
from boxwright_student.events import Coded, Event, Result
from boxwright_student.mounted import Mounted
from boxwright_student.vote import Election, RunCode

PYTHON = "python"
"""The name under which a trajectory keeps code and what it gave."""
CUT_OFF = "The code was not run, since it breaks off before its end. Write less at a time."


class CodeActs:
    """Code, with variables that last for the attempt; see `boxwright_student.code`.

    Args:
        tools: The tools of this attempt.
        emit: Takes what is to be told.
        ids: Gives the acts their ids.
        candidates: How many acts may be run side by side.
    """

    def __init__(self, tools: Mounted, emit: Callable[[Event], None], *, ids: CallIds, candidates: int = 1) -> None:
        self._emit, self._ids = emit, ids
        self._session = CodeSession(tools, candidates=candidates)
        self.run_code: RunCode | None = self._session.run

    async def __aenter__(self) -> Self:
        await self._session.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.__aexit__(*error)

    def weigh(self, tool: ToolDefinition) -> int:
        """See `Acts.weigh`."""
        return estimate_tokens([Message(role="system", content=code_signature(tool))])

    def form(self, tools: Sequence[ToolDefinition], *, constrained: bool) -> Form:
        """See `Acts.form`: the functions are in the system message, what code gave is a user's turn."""
        shown = {tool.name for tool in tools}
        prompt = code_prompt(one for one in self._session.functions.values() if one.tool.name in shown)
        return lambda messages: (sendable(_plain(message, prompt) for message in messages), ())

    def read(self, completion: Completion, tools: Sequence[ToolDefinition]) -> Turn:
        """See `Acts.read`."""
        text, thought = split_thinking(completion.text)
        thinking = "\n".join(filter(None, [completion.thinking, thought]))
        said = text if text.strip() else thinking
        code = read_code(said, self._session.functions)
        if not code:
            answer = answer_of(text)
            return Turn(Message(role="assistant", content=answer, thinking=thinking), answer=answer)
        # Code out of the thinking has to be said again: thinking is not sent back.
        message = Message(role="assistant", content=text if text.strip() else _fenced(code), thinking=thinking)
        if completion.finish == "length" and breaks_off(said):
            return Turn(message, corrections=(Message(role="user", content=CUT_OFF),))
        call = ToolCall(id=self._ids.take("", "code"), name=PYTHON, arguments={"code": code})
        return Turn(message.model_copy(update={"tool_calls": (call,)}), code=code)

    async def do(self, turn: Turn) -> Done:
        """See `Acts.do`."""
        if not turn.code:
            return Done()
        self._emit(Coded(turn.code))
        return self._done(turn, await self._session.act(turn.code))

    def elected(self, turn: Turn, election: Election) -> Done:
        """See `Acts.elected`."""
        if election.result is None:  # an answer, or code that breaks off
            return Done()
        self._session.keep(election.result)
        self._emit(Coded(turn.code))
        return self._done(turn, election.result)

    def _done(self, turn: Turn, result: CodeResult) -> Done:
        (call,) = turn.message.tool_calls
        self._emit(Result(call, result.outcome))
        inner = tuple(
            InnerCall(call=one.call, text=shorten(one.outcome.text, LONGEST_UNBOUNDED), failed=one.outcome.failed)
            for one in result.calls
        )
        seen = observation(call, result.outcome).model_copy(update={"inner": inner})
        # An empty answer is none: the model sees that nothing came of it.
        return Done((seen,), sayable(result.answer or "").strip() or None)


def _fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def _plain(message: Message, prompt: str) -> Message:
    if message.role == "system":
        return message.model_copy(update={"content": f"{message.content}\n\n{prompt}"})
    if message.role == "tool":
        return Message(role="user", content=f"Observation:\n{message.content}")
    return message.model_copy(update={"tool_calls": ()})
