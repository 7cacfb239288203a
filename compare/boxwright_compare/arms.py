"""Arms: ways of answering that are compared. The student alone or with boxes, fine-tuned with boxes, and no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from boxwright.models import ChatModel
from boxwright.tasks import Task
from boxwright.traces import TraceStore, Trajectory
from boxwright_student import Agent, NoTools, Toolset, connect
from boxwright_student.mcp_tools import ServerEntry
from boxwright_student.suite_run import run_tasks

ArmName = Literal["bare", "boxes", "tuned", "rules"]
"""`tuned` is a fine-tuned student with boxes, `rules` a baseline with boxes that is no language model."""
ARMS: tuple[ArmName, ...] = ("bare", "boxes")


@dataclass(frozen=True)
class ArmResult:
    """One arm's attempts, in the tasks' order."""

    name: str
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
    path = folder / f"{name}.jsonl"
    if name == "bare":
        return await run_with(NoTools(), name, model, tasks, suite, path, concurrency=concurrency, on_done=on_done)
    async with connect({"boxwright": server}) as tools:
        return await run_with(tools, name, model, tasks, suite, path, concurrency=concurrency, on_done=on_done)


async def run_with(
    tools: Toolset,
    name: str,
    model: ChatModel,
    tasks: Sequence[Task],
    suite: str,
    path: Path,
    *,
    concurrency: int,
    on_done: Callable[[Trajectory], None] | None,
) -> ArmResult:
    """Have an arm attempt the tasks with these tools; its trajectories are kept in the file. Raises as `run_arm`."""
    agent = Agent(model, tools)
    found = await run_tasks(agent, tasks, suite, TraceStore(path), concurrency=concurrency, on_done=on_done)
    return ArmResult(name, model.uri, model.label, tuple(found))
