"""Running the agent over a suite: concurrent, and resumable, since a task whose trajectory is kept is not run again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from boxwright.errors import BoxwrightError, ModelError
from boxwright.tasks import Task
from boxwright.traces import TraceStore, Trajectory
from boxwright_student.agent import Agent, scored


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

    An attempt of an earlier run counts if it was at the same prompt, with the same model and the same tools, and did
    not end in an error of the model. The first error stops what has not begun. What is cancelled is kept as far as it
    came, and attempted anew by the next run.

    Raises:
        BudgetSpent: The model's budget was used up; what was done is in the store.
        ModelError: Every attempt ended in an error of the model.
        CallerMustHandle: The model, the tools or the store cannot be reached.
    """
    by_id = {task.id: task for task in tasks}
    kept = [one for one in store.read() if one.task in by_id and agent.did(one, by_id[one.task], suite)]
    done = {one.task: one for one in kept}
    turn = asyncio.Semaphore(concurrency)
    errors: list[BoxwrightError] = []

    async def one(task: Task) -> None:
        async with turn:
            if errors:
                return
            attempt = agent.start(task.prompt)
            try:
                trajectory = scored(await attempt.finish(), task, suite)
                store.append(trajectory)
            except asyncio.CancelledError:
                store.append(scored(attempt.trajectory(), task, suite))
                raise
            except BoxwrightError as error:
                # Attempts under way come to their own end: what they asked for is paid.
                errors.append(error)
                return
        done[task.id] = trajectory
        if on_done:
            on_done(trajectory)

    for trajectory in list(done.values()):
        if on_done:
            on_done(trajectory)
    await asyncio.gather(*(one(task) for task in tasks if task.id not in done))
    if errors:
        raise errors[0]
    found = [done[task.id] for task in tasks]
    if found and all(one.ended == "model-error" for one in found):
        raise ModelError(f"no attempt came to an end; the model says: {found[-1].note}")
    return found
