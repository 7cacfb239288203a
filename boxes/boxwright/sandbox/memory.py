"""What all processes of a worker take together, where no control group counts it: looked at from outside, over /proc.

Each process of a worker has a limit of its own, but an import may start several. What they share after a fork is
counted once. Between two looks more can be taken, by as much as the machine fills in that time.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from boxwright.sandbox.proc import processes, share

LOOK_SECONDS = 0.2
"""Between two looks at a worker that starts or runs a call, or more: looking takes a twentieth of the time at most."""
LONGEST_SECONDS = 1.0
"""Between two looks, however long they take."""
IDLE_LOOKS = 5
"""One look in so many is at the idle ones too."""


class Watched(Protocol):
    """A worker as the watch sees it."""

    @property
    def pid(self) -> int:
        """The process all others of this worker descend from."""

    @property
    def memory_bound(self) -> int:
        """What they may take together, in bytes."""

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""

    @property
    def busy(self) -> bool:
        """Whether a start or a call is under way."""

    async def end_over_memory(self) -> None:
        """End it."""


class MemoryWatch:
    """Ends workers that take too much memory; one task for all of them, and none where there are none."""

    def __init__(self) -> None:
        self._workers: list[Watched] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, worker: Watched) -> None:
        """Watch the worker from now on until it has ended."""
        self._workers.append(worker)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        look, took = 0, 0.0
        while self._workers:
            await asyncio.sleep(min(max(LOOK_SECONDS, 20 * took), LONGEST_SECONDS))
            look += 1
            self._workers = [worker for worker in self._workers if worker.alive]
            due = [worker for worker in self._workers if worker.busy or look % IDLE_LOOKS == 0]
            if due:
                started = time.monotonic()
                try:
                    over = await asyncio.to_thread(_over, due)
                except OSError:  # no descriptor is free: the next look will do
                    continue
                took = time.monotonic() - started
                await asyncio.gather(*(worker.end_over_memory() for worker in over))


def _over(workers: list[Watched]) -> list[Watched]:
    """Return those that take more than they may."""
    seen = processes()
    found = []
    for worker in workers:
        tree = seen.tree(worker.pid)
        # Resident memory counts what a fork shares as often as it is shared; the exact sum takes longer to get.
        roughly = sum(seen.resident.get(pid, 0) for pid in tree)
        if roughly > worker.memory_bound and sum(map(share, tree)) > worker.memory_bound:
            found.append(worker)
    return found
