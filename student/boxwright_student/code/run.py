"""One run of code in a Monty session: what it asks for is answered step by step, and it ends within its limits."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic_monty import (
    AsyncFunctionSnapshot,
    AsyncFutureSnapshot,
    AsyncMontySession,
    AsyncNameLookupSnapshot,
    MontyComplete,
    MontyError,
)

from boxwright.errors import did_you_mean, near_misses
from boxwright.models import ToolCall
from boxwright_student.code.faults import missing_module, told
from boxwright_student.code.names import FINAL
from boxwright_student.code.signatures import ToolSignature
from boxwright_student.code.values import answer_text, check_depth, shown, to_json
from boxwright_student.toolset import ToolOutcome

Caller = Callable[[ToolCall], Awaitable[ToolOutcome]]
"""Makes a tool call."""
_Snapshot: TypeAlias = AsyncFunctionSnapshot | AsyncNameLookupSnapshot | AsyncFutureSnapshot | MontyComplete


@dataclass(frozen=True)
class CodeLimits:
    """How far one act may go."""

    seconds: float = 10.0
    """The code's own time; that of its tools does not count."""
    megabytes: int = 64
    calls: int = 50
    """Tool calls."""
    characters: int = 8_000
    """How much of what it prints, and of its value, is shown."""
    length: int = 40_000
    """Characters of the code itself."""


@dataclass(frozen=True)
class MadeCall:
    """A tool call that code made, and what came of it."""

    call: ToolCall
    outcome: ToolOutcome


@dataclass(frozen=True)
class CodeResult:
    """What came of an act."""

    printed: str = ""
    value: Any = None
    """The value of the last expression, or the answer, as Python."""
    fault: str = ""
    """Why it failed; empty where it did not."""
    calls: tuple[MadeCall, ...] = ()
    answered: bool = False
    """It called `final_answer`; `value` is the answer, and the attempt is over."""
    blocked: ToolCall | None = None
    """The call that was not allowed here; the code stopped before it."""
    observation: str = ""
    """What the model is told."""
    state: bytes | None = field(default=None, repr=False)
    """The variables afterwards; those from before where it failed."""

    @property
    def answer(self) -> str | None:
        """The answer as text, where there is one."""
        return answer_text(self.value) if self.answered else None

    @property
    def outcome(self) -> ToolOutcome:
        """The act as the outcome of a call."""
        return ToolOutcome(self.observation, failed=bool(self.fault), value=self.value)


class _Stopped(Exception):
    """The code is not run any further; it cannot catch this."""


class CodeRun:
    """One run of code.

    Args:
        functions: The tools by their names in code.
        call: Makes tool calls.
        may_call: Whether a tool may be called here, by its own name.
        limits: The limits.
    """

    def __init__(
        self, functions: Mapping[str, ToolSignature], call: Caller, may_call: Callable[[str], bool], limits: CodeLimits
    ) -> None:
        self._functions, self._make, self._may_call, self._limits = functions, call, may_call, limits
        self._known = {**functions, FINAL: None}
        self._printed = ""
        self._length = 0
        self._calls: list[MadeCall] = []
        self._answer: tuple[Any] | None = None
        self._blocked: ToolCall | None = None

    async def finish(self, session: AsyncMontySession, code: str, before: bytes | None) -> CodeResult:
        """Run the code over the variables from before to its end, whatever ends it."""
        try:
            if before is not None:
                await session.load_session(before)
            value = _checked(await self._drive(await session.feed_start(code, print_callback=self._print)))
            if hidden := await self._hidden(session, code):
                return self._failed(f"{hidden!r} is a function you were given; give your own another name", before)
            state = await session.dump()
        except _Stopped as stopped:
            if self._answer or self._blocked:
                return self._result(self._answer[0] if self._answer else None, before)
            return self._failed(str(stopped), before)
        except MontyError as error:
            return self._failed(told(error, self._limits.seconds), before)
        return self._result(value, state)

    async def _drive(self, snapshot: _Snapshot) -> Any:
        while not isinstance(snapshot, MontyComplete):
            if isinstance(snapshot, AsyncNameLookupSnapshot):
                name = snapshot.variable_name
                snapshot = await (snapshot.resume(value=_function(name)) if name in self._known else snapshot.resume())
            elif isinstance(snapshot, AsyncFunctionSnapshot):
                snapshot = await self._answer_call(snapshot)
            else:
                raise _Stopped("the code waits for something that never comes")
        return snapshot.output

    async def _answer_call(self, snapshot: AsyncFunctionSnapshot) -> _Snapshot:
        name = str(snapshot.function_name)
        if snapshot.is_os_function:
            if name != "import":
                return await snapshot.resume_not_handled()
            text = missing_module(str(snapshot.args[0]), list(self._functions))
            return await snapshot.resume({"exc_type": "ModuleNotFoundError", "message": text})
        if name not in self._known:
            text = f"name {name!r} is not defined{did_you_mean(near_misses(name, self._known))}"
            return await snapshot.resume({"exc_type": "NameError", "message": text})
        try:
            call = self._read_call(name, snapshot.args, snapshot.kwargs)
        except (TypeError, ValueError) as error:
            kind: Literal["TypeError", "ValueError"] = "TypeError" if isinstance(error, TypeError) else "ValueError"
            return await snapshot.resume({"exc_type": kind, "message": str(error)})
        outcome = await self._make(call)
        self._calls.append(MadeCall(call, outcome))
        if outcome.failed:
            return await snapshot.resume({"exc_type": "ValueError", "message": outcome.text})
        plain = outcome.value is None and self._functions[name].tool.output_schema is None
        return await snapshot.resume({"return_value": outcome.text if plain else outcome.value})

    def _read_call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> ToolCall:
        """Return the tool call that code asks for.

        Raises:
            _Stopped: It is the end: an answer, a call that may not be made here, or one too many.
            TypeError: The arguments do not fit the signature.
            ValueError: JSON has no form for an argument.
        """
        check_depth([args, kwargs])
        if name == FINAL:
            self._end(args, kwargs)
        function = self._functions[name]
        arguments = {key: to_json(value) for key, value in function.arguments(args, kwargs).items()}
        call = ToolCall(id=f"in_code_{len(self._calls)}", name=function.tool.name, arguments=arguments)
        if not self._may_call(call.name):
            self._blocked = call
            raise _Stopped
        if len(self._calls) == self._limits.calls:
            raise _Stopped(f"the code made more than {self._limits.calls} tool calls; make fewer in one act")
        return call

    def _end(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        given = [*args, *kwargs.values()]
        if not given:
            raise TypeError(f"{FINAL}() takes the answer, as in {FINAL}(42)")
        self._answer = (given[0] if len(given) == 1 else given,)
        raise _Stopped

    async def _hidden(self, session: AsyncMontySession, code: str) -> str:
        """Return a given function's name to which the code gave another meaning, empty where there is none."""
        words = set(re.findall(r"\w+", code))
        names = [name for name in self._known if name in words]
        values = await self._drive(await session.feed_start(f"[{', '.join(names)}]")) if names else []
        # A function of the host comes out as its bare name; one made by the code does not.
        return next((name for name, value in zip(names, values, strict=True) if value != name), "")

    def _print(self, _: str, text: str) -> None:
        self._length += len(text)
        self._printed += text[: max(0, self._limits.characters - len(self._printed))]

    def _failed(self, fault: str, before: bytes | None) -> CodeResult:
        kept = "" if before is None else "\n(The code failed; variables are as they were before it.)"
        observation = "\n".join(filter(None, [self._cut(self._printed, self._length), fault + kept]))
        return CodeResult(self._printed, None, fault, tuple(self._calls), observation=observation, state=before)

    def _result(self, value: Any, state: bytes | None) -> CodeResult:
        text = "" if value is None else shown(value)
        seen = [self._cut(self._printed, self._length), self._cut(text, len(text))]
        observation = "\n".join(filter(None, seen)) or "(nothing was printed; print what you want to see)"
        made = tuple(self._calls)
        return CodeResult(self._printed, value, "", made, self._answer is not None, self._blocked, observation, state)

    def _cut(self, text: str, length: int) -> str:
        most = self._limits.characters
        text = text.rstrip("\n")
        return text if length <= most else f"{text[:most]}\n[… cut: {length} characters, of which {most} are shown]"


def _checked(value: Any) -> Any:
    try:
        check_depth(value)
    except ValueError as error:
        raise _Stopped(str(error)) from None
    return value


def _function(name: str) -> Callable[[], None]:
    """Return what stands for a given function where code uses it as a value; Monty goes by its name."""

    def function() -> None:
        raise NotImplementedError("calls come as snapshots")

    function.__name__ = name
    return function
