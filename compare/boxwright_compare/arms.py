"""Arms: ways of answering that are compared. The student alone, the student with boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from boxwright.models import ChatModel
from boxwright.tasks import Task
from boxwright.traces import TraceStore, Trajectory
from boxwright_student import Agent, NoTools, connect
from boxwright_student.mcp_tools import ServerEntry
from boxwright_student.suite_run import run_tasks

ArmName = Literal["bare", "boxes"]
ARMS: tuple[ArmName, ...] = ("bare", "boxes")


@dataclass(frozen=True)
class ArmResult:
    """One arm's attempts, in the tasks' order."""

    name: ArmName
    model: str
    label: str
    trajectories: tuple[Trajectory, ...]

    @property
    def right(self) -> list[bool]:
        """Whether each answer is right."""
        return [bool(one.right) for one in self.trajectories]


async def run_arm(
    name: ArmName,
    model: ChatModel,
    tasks: Sequence[Task],
    suite: str,
    folder: Path,
    *,
    server: ServerEntry,
    concurrency: int = 4,
    on_done: Callable[[Trajectory], None] | None = None,
) -> ArmResult:
    """Have the arm attempt the tasks; its trajectories are kept in the folder, and what is there is not run again.

    Raises:
        BudgetSpent: The model's budget was used up.
        CallerMustHandle: The box server or the folder cannot be reached.
    """
    store = TraceStore(folder / f"{name}.jsonl")
    if name == "bare":
        agent = Agent(model, NoTools())
        found = await run_tasks(agent, tasks, suite, store, concurrency=concurrency, on_done=on_done)
    else:
        async with connect({"boxwright": server}) as tools:
            agent = Agent(model, tools)
            found = await run_tasks(agent, tasks, suite, store, concurrency=concurrency, on_done=on_done)
    return ArmResult(name, model.uri, model.label, tuple(found))
