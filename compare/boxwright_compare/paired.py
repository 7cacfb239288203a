"""Comparing two arms task by task: an interval for each, an exact test for the difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from boxwright.errors import BadInput, ExtraMissing
from boxwright_compare.arms import ArmResult


@dataclass(frozen=True)
class Interval:
    """A 95% interval of a share."""

    low: float
    high: float


@dataclass(frozen=True)
class ArmSummary:
    """One arm in figures."""

    name: str
    model: str
    label: str
    tasks: int
    right: int
    interval: Interval
    called_tools: int
    """Tasks in which a call was written, whether or not it could be made."""
    tokens: int
    model_seconds: float
    dollars: float


@dataclass(frozen=True)
class Paired:
    """Two arms on the same tasks."""

    first: ArmSummary
    second: ArmSummary
    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float
    """Exact McNemar test: how likely so uneven a split of the differing tasks is by chance."""
    hurt: tuple[str, ...]
    """Tasks that only the first arm got right."""
    helped: tuple[str, ...]
    """Tasks that only the second arm got right."""


def compare_pair(first: ArmResult, second: ArmResult) -> Paired:
    """Compare two arms.

    Raises:
        BadInput: They did not attempt the same tasks.
    """
    ids = [one.task for one in first.trajectories]
    if ids != [one.task for one in second.trajectories]:
        raise BadInput(f"the arms {first.name!r} and {second.name!r} did not attempt the same tasks; run both again")
    pairs = list(zip(ids, first.right, second.right, strict=True))
    hurt = tuple(task for task, a, b in pairs if a and not b)
    helped = tuple(task for task, a, b in pairs if b and not a)
    return Paired(
        first=summarise(first),
        second=summarise(second),
        both=sum(a and b for _, a, b in pairs),
        only_first=len(hurt),
        only_second=len(helped),
        neither=sum(not a and not b for _, a, b in pairs),
        p_value=mcnemar(len(hurt), len(helped)),
        hurt=hurt,
        helped=helped,
    )


def summarise(arm: ArmResult) -> ArmSummary:
    """Return an arm in figures."""
    right = sum(arm.right)
    return ArmSummary(
        name=arm.name,
        model=arm.model,
        label=arm.label,
        tasks=len(arm.trajectories),
        right=right,
        interval=wilson(right, len(arm.trajectories)),
        called_tools=sum(one.calls > 0 for one in arm.trajectories),
        tokens=sum(one.usage.tokens for one in arm.trajectories),
        model_seconds=sum(one.usage.seconds for one in arm.trajectories),
        dollars=sum(one.usage.dollars for one in arm.trajectories),
    )


def wilson(right: int, tasks: int) -> Interval:
    """Return Wilson's 95% score interval of a share; the whole range where there is no task."""
    if tasks == 0:
        return Interval(0.0, 1.0)
    found = _stats().binomtest(right, tasks).proportion_ci(method="wilson")
    return Interval(float(found.low), float(found.high))


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided McNemar p-value of two counts of differing tasks; 1 where none differs."""
    if only_first + only_second == 0:
        return 1.0
    return float(_stats().binomtest(only_first, only_first + only_second, 0.5).pvalue)


def _stats() -> Any:
    try:
        from scipy import stats
    except ModuleNotFoundError as error:
        raise ExtraMissing("a comparison", "compare") from error
    return stats
