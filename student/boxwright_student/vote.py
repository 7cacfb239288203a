"""Self-consistent actions: of several samples of one step, the one that most agree with, counted by what comes of them.

Kang et al. (2505.17612) run every sample's code in one interpreter, compare what it prints, and run the chosen one
again. Here each candidate is isolated, equal calls are made once, only tools that change nothing are tried, answers are
compared by value, and the winner's result is used as it is. No model is asked here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from boxwright.jsontypes import canonical
from boxwright.models import ToolCall, Usage
from boxwright_student.ballots import answer_key, code_key, result_key
from boxwright_student.code.run import Caller, CodeResult
from boxwright_student.toolset import ToolOutcome

PATIENCE_SECONDS = 5.0
"""How long those samples are waited for that cannot change the winner any more; a tool may hang in one of them."""


@dataclass(frozen=True)
class Sample:
    """What one completion wants: an answer, calls or code; or why it could not be read. All empty: it said nothing."""

    answer: str | None = None
    calls: tuple[ToolCall, ...] = ()
    """Calls of one completion are one candidate; they count together."""
    code: str = ""
    fault: str = ""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Election:
    """Which sample won, and what came of it."""

    winner: int
    """The sample's place among the samples."""
    groups: tuple[tuple[int, ...], ...]
    """The samples that agree, by their places; the winner's first, then by size. Errors, empty ones and those that were
    left behind are in none."""
    usage: Usage
    """Of all samples."""
    outcomes: tuple[ToolOutcome, ...] = ()
    """Of the winner's calls, in order."""
    result: CodeResult | None = None
    """Of the winner's code."""

    @property
    def votes(self) -> int:
        """How many samples agree with the winner, itself among them; 0 where all failed."""
        return len(self.groups[0]) if self.groups else 0


class RunCode(Protocol):
    """Runs code over the attempt's variables and keeps nothing, as `CodeSession.run` does."""

    async def __call__(self, code: str, *, call: Caller, may_call: Callable[[str], bool]) -> CodeResult:
        """Run the code."""


@dataclass(frozen=True)
class _Tried:
    """What came of a candidate; neither outcomes nor result where it was not tried."""

    outcomes: tuple[ToolOutcome, ...] = ()
    result: CodeResult | None = None


async def elect(
    samples: Sequence[Sample],
    make: Caller,
    is_read_only: Callable[[str], bool],
    *,
    run_code: RunCode | None = None,
    schemas: Mapping[str, Mapping[str, Any] | None] | None = None,
) -> Election:
    """Try the samples side by side and return the one that most agree with; of equally many, the earliest.

    Samples agree when they give the same answer, or find the same results, or, not tried, want the same calls. A failed
    one wins only where all failed, and an empty one only where all are empty. A winner that was not tried, since it
    changes something, is done once, now. Samples that cannot change the winner are not waited for longer than
    `PATIENCE_SECONDS`. Cancelling leaves nothing running.

    Args:
        samples: One or more samples, in the order they were drawn.
        make: Makes a tool call.
        is_read_only: Whether a trusted server says of a tool, by name, that it changes nothing.
        run_code: Runs code; only needed where a sample has code.
        schemas: The tools' output schemas, by name.

    Raises:
        CallerMustHandle: The tools cannot be reached at all.
    """
    try:
        async with asyncio.TaskGroup() as group:
            return await _Vote(group, make, is_read_only, run_code, schemas or {}).elect(samples)
    except ExceptionGroup as errors:
        raise _first(errors) from None


class _Vote:
    def __init__(
        self,
        group: asyncio.TaskGroup,
        make: Caller,
        is_read_only: Callable[[str], bool],
        run_code: RunCode | None,
        schemas: Mapping[str, Mapping[str, Any] | None],
    ) -> None:
        self._group, self._make, self._is_read_only = group, make, is_read_only
        self._run_code, self._schemas = run_code, schemas
        self._calls: dict[str, asyncio.Task[ToolOutcome]] = {}
        self._runs: dict[str, asyncio.Task[CodeResult]] = {}

    async def elect(self, samples: Sequence[Sample]) -> Election:
        tasks = [self._group.create_task(self._try(sample)) for sample in samples]
        waiting = set(tasks)
        while waiting:
            known = [_result(task) for task in tasks]
            first, second, *_ = (*map(len, self._groups(samples, known)), 0, 0)
            decided = first > second + len(waiting)
            done, waiting = await asyncio.wait(
                waiting, timeout=PATIENCE_SECONDS if decided else None, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                self._leave_behind(waiting)
                break
        tried = [_result(task) for task in tasks]
        groups = self._groups(samples, tried)
        winner = groups[0][0] if groups else _earliest_error(samples)
        came = await self._done(samples[winner], tried[winner] or _Tried())
        usage = sum((sample.usage for sample in samples), Usage())
        return Election(winner, groups, usage, came.outcomes, came.result)

    def _groups(self, samples: Sequence[Sample], tried: Sequence[_Tried | None]) -> tuple[tuple[int, ...], ...]:
        """Return the places of the samples that agree, of those whose trial is at its end; most votes first."""
        by_key: dict[str, list[int]] = {}
        for place, (sample, one) in enumerate(zip(samples, tried, strict=True)):
            if one is not None and (key := self._key(sample, one)):
                by_key.setdefault(key, []).append(place)
        return tuple(sorted(map(tuple, by_key.values()), key=lambda places: (-len(places), places[0])))

    def _leave_behind(self, waiting: set[asyncio.Task[_Tried]]) -> None:
        for task in (*waiting, *self._calls.values(), *self._runs.values()):
            task.cancel()  # which does nothing to those that are done
        self._calls = {key: task for key, task in self._calls.items() if task.done()}
        self._runs = {key: task for key, task in self._runs.items() if task.done()}

    async def _try(self, sample: Sample) -> _Tried:
        """Find out what comes of a sample, as far as that changes nothing."""
        if sample.fault:
            return _Tried()
        if sample.code:
            return _Tried(result=await self._run_once(sample.code))
        if all(self._is_read_only(call.name) for call in sample.calls):
            return _Tried(tuple(await asyncio.gather(*map(self._call_once, sample.calls))))
        return _Tried()

    async def _done(self, sample: Sample, tried: _Tried) -> _Tried:
        """Return what came of the winner; do it now where it was not tried, or not to its end."""
        untouched = True

        async def call(one: ToolCall) -> ToolOutcome:
            nonlocal untouched
            # Results found on trial hold until something is changed.
            untouched = untouched and self._is_read_only(one.name)
            return await (self._call_once(one) if untouched else self._make(one))

        if tried.result is not None and tried.result.blocked:
            assert self._run_code is not None
            return _Tried(result=await self._run_code(sample.code, call=call, may_call=lambda _: True))
        if sample.calls and not sample.fault and not tried.outcomes:
            return _Tried(tuple([await call(one) for one in sample.calls]))
        return tried

    async def _call_once(self, call: ToolCall) -> ToolOutcome:
        key = _call_key(call)
        if key not in self._calls:
            self._calls[key] = self._group.create_task(_awaited(self._make(call)))
        return await asyncio.shield(self._calls[key])

    async def _run_once(self, code: str) -> CodeResult:
        assert self._run_code is not None, "samples with code need run_code"
        if code not in self._runs:
            run = self._run_code(code, call=self._call_once, may_call=self._is_read_only)
            self._runs[code] = self._group.create_task(_awaited(run))
        return await asyncio.shield(self._runs[code])

    def _key(self, sample: Sample, tried: _Tried) -> str:
        """Return what the sample is counted under; empty where it failed or said nothing."""
        if sample.fault:
            return ""
        if tried.result is not None:
            return _code_key(sample.code, tried.result)
        if sample.calls and not tried.outcomes:
            return canonical(["calls", *map(_call_key, sample.calls)])
        if any(outcome.failed for outcome in tried.outcomes):
            return ""
        if tried.outcomes:
            pairs = zip(sample.calls, tried.outcomes, strict=True)
            return canonical(["results", *(result_key(one, self._schemas.get(call.name)) for call, one in pairs)])
        return f"answer {answer_key(sample.answer)}" if (sample.answer or "").strip() else ""


def _result(task: asyncio.Task[_Tried]) -> _Tried | None:
    return task.result() if task.done() and not task.cancelled() else None


async def _awaited(one: Awaitable[Any]) -> Any:
    return await one


def _code_key(code: str, result: CodeResult) -> str:
    if result.blocked:
        return canonical(["calls", _call_key(result.blocked)])
    if result.fault:
        return ""
    if result.answered:
        return f"answer {answer_key(result.value)}"
    if not result.printed.strip() and result.value is None:
        return f"code {code}"  # what was only computed is not seen
    return f"result {code_key(result.printed, result.value)}"


def _call_key(call: ToolCall) -> str:
    return canonical([call.name, call.arguments])


def _earliest_error(samples: Sequence[Sample]) -> int:
    """Return the first sample that said something, since its error tells the model more than silence."""
    said = [place for place, one in enumerate(samples) if one.fault or one.calls or one.code]
    return said[0] if said else 0


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
