"""Running the agent over a suite: concurrent, and resumable, since a task whose trajectory is kept is not run again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from boxwright.tasks import Task
from boxwright.traces import TraceStore, Trajectory
from boxwright_student.agent import Agent


async def run_tasks(
    agent: Agent,
    tasks: Sequence[Task],
    suite: str,
    store: TraceStore,
    *,
    concurrency: int = 4,
    on_done: Callable[[Trajectory], None] | None = None,
) -> list[Trajectory]:
    """Attempt each task once and return the trajectories in the tasks' order, those of an earlier run among them.

    An attempt that ended in an error of the model is kept in the store but tried again.

    Raises:
        BudgetSpent: The model's budget was used up; what was done is in the store.
        CallerMustHandle: The tools or the store cannot be reached.
    """
    wanted = {task.id for task in tasks}
    done = {one.task: one for one in store.read() if one.task in wanted and one.ended != "model-error"}
    turn = asyncio.Semaphore(concurrency)

    async def one(task: Task) -> None:
        async with turn:
            trajectory = await agent.attempt(task, suite)
        store.append(trajectory)  # at once: another task's error cancels whatever this one would wait for
        done[task.id] = trajectory
        if on_done:
            on_done(trajectory)

    for trajectory in list(done.values()):
        if on_done:
            on_done(trajectory)
    try:
        async with asyncio.TaskGroup() as group:
            for task in tasks:
                if task.id not in done:
                    group.create_task(one(task))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return [done[task.id] for task in tasks]
