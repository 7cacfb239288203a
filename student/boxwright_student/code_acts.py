"""Acts that are code: Python that composes tools, run by Monty. A trajectory keeps each as a call of `python`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from boxwright.models import Completion, InnerCall, Message, ToolCall, ToolDefinition
from boxwright.traces import ActLanguage
from boxwright_student.acts import Done, Turn, observation
from boxwright_student.calls.thinking import split_thinking
from boxwright_student.code import CodeResult, CodeSession, answer_of, code_prompt, read_code
from boxwright_student.events import Coded, Event, Result
from boxwright_student.mounted import Mounted
from boxwright_student.vote import Election, RunCode

PYTHON = "python"
"""The name under which a trajectory keeps code and what it gave."""


class CodeActs:
    """Code, with variables that last for the attempt; see `boxwright_student.code`.

    Args:
        tools: The tools of this attempt.
        emit: Takes what is to be told.
        candidates: How many acts may be run side by side.
    """

    language: ActLanguage = "code"

    def __init__(self, tools: Mounted, emit: Callable[[Event], None], *, candidates: int = 1) -> None:
        self._emit = emit
        self._written = 0
        self._session = CodeSession(tools, candidates=candidates)
        self.run_code: RunCode | None = self._session.run

    async def __aenter__(self) -> Self:
        await self._session.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.__aexit__(*error)

    def request(
        self, messages: Sequence[Message], tools: Sequence[ToolDefinition], *, constrained: bool
    ) -> tuple[Sequence[Message], Sequence[ToolDefinition]]:
        """See `Acts.request`: the functions are in the system message, what code gave is a user's turn."""
        shown = {tool.name for tool in tools}
        prompt = code_prompt(one for one in self._session.functions.values() if one.tool.name in shown)
        return [_plain(message, prompt) for message in messages], ()

    def read(self, completion: Completion, tools: Sequence[ToolDefinition]) -> Turn:
        """See `Acts.read`."""
        text, thought = split_thinking(completion.text)
        thinking = "\n".join(filter(None, [completion.thinking, thought]))
        code = read_code(text or thought, self._session.functions)
        if not code:
            answer = answer_of(text)
            return Turn(Message(role="assistant", content=answer, thinking=thinking), answer=answer)
        self._written += 1
        call = ToolCall(id=f"code_{self._written}", name=PYTHON, arguments={"code": code})
        return Turn(Message(role="assistant", content=text, tool_calls=(call,), thinking=thinking), code=code)

    async def do(self, turn: Turn) -> Done:
        """See `Acts.do`."""
        self._emit(Coded(turn.code))
        return self._done(turn, await self._session.act(turn.code))

    def elected(self, turn: Turn, election: Election) -> Done:
        """See `Acts.elected`."""
        assert election.result is not None, "code is always tried"
        self._session.keep(election.result)
        self._emit(Coded(turn.code))
        return self._done(turn, election.result)

    def _done(self, turn: Turn, result: CodeResult) -> Done:
        (call,) = turn.message.tool_calls
        self._emit(Result(call, result.outcome))
        inner = tuple(
            InnerCall(call=made.call, text=made.outcome.text, failed=made.outcome.failed) for made in result.calls
        )
        seen = observation(call, result.outcome).model_copy(update={"inner": inner})
        return Done((seen,), result.answer)


def _plain(message: Message, prompt: str) -> Message:
    if message.role == "system":
        return message.model_copy(update={"content": f"{message.content}\n\n{prompt}"})
    if message.role == "tool":
        return Message(role="user", content=f"Observation:\n{message.content}")
    return message.model_copy(update={"tool_calls": ()})
