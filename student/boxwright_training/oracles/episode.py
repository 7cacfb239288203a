"""What an oracle makes, as values: a task, and its solving step by step, which a trajectory is written from."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

from boxwright.tasks import Task
from boxwright.tasks.task import ScorerName

EVALUATE = "calculator__evaluate"
"""The tool that computes, as it is served."""


@dataclass(frozen=True)
class Step:
    """One call, and why it is made."""

    reason: str
    tool: str
    """The name under which the tool is served."""
    arguments: dict[str, Any]


Solving: TypeAlias = Generator[Step, str, str]
"""Yields steps, is sent what the student would read of each, and returns the answer."""
Solve: TypeAlias = Callable[[], Solving]
"""Starts the solving anew; it says the same each time."""


@dataclass(frozen=True)
class Made:
    """A task before it has its place in a split, and how it is solved."""

    prompt: str
    scorer: ScorerName
    answer: str
    solve: Solve
    tolerance: float = 1e-6
    boxes: tuple[str, ...] = ("calculator",)
    """The boxes whose tools are called."""


@dataclass(frozen=True)
class Episode:
    """A task, and how it is solved."""

    suite: str
    task: Task
    solve: Solve
    boxes: tuple[str, ...]
    seed: str
    """What else is drawn for it, such as the tools that are shown, is drawn from this."""


def computed(reason: str, expression: str) -> Generator[Step, str, str]:
    """Have the calculator compute an expression, and return the value as the next call or the answer takes it."""
    return shown((yield Step(reason, EVALUATE, {"expression": expression})))


def shown(result: str) -> str:
    """Return the number that the calculator's result holds: whole where it is, else as a decimal."""
    value = json.loads(result)
    return str(value["decimal"] if "/" in value["exact"] else value["exact"])
