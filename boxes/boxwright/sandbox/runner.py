"""The one way to call a tool: arguments checked, a warm worker taken, the result checked."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from boxwright.box.release import Release
from boxwright.box.validation import check_arguments, check_result
from boxwright.errors import WorkerEnded
from boxwright.jsontypes import Json
from boxwright.sandbox.base import Sandbox, Worker

WORKERS_PER_RELEASE = 4
WORKERS = 32
"""Workers over all releases, in use and idle. Where one more is wanted, the one longest idle makes room."""
ATTEMPTS = 3
"""How often a call is made whose worker ends under it."""
SPARE_WORKERS = 8
"""Of these, for releases that have one in use already: so that a few slow boxes cannot keep the others from running."""
IDLE_SECONDS = 300.0
"""How long a worker is kept that nobody calls."""


@dataclass(frozen=True)
class _Idle:
    digest: str
    worker: Worker
    timer: asyncio.TimerHandle


class ToolRunner:
    """Calls tools of releases, and keeps warm workers between the calls.

    Use it as an async context manager: leaving it ends every worker.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._idle: list[_Idle] = []
        """The longest idle first."""
        self._closed = False
        self._retiring: set[asyncio.Task[None]] = set()
        self._in_use: Counter[str] = Counter()
        self._first_room = asyncio.Semaphore(WORKERS - SPARE_WORKERS)
        self._spare_room = asyncio.Semaphore(SPARE_WORKERS)
        self._release_room: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(WORKERS_PER_RELEASE)
        )

    async def __aenter__(self) -> ToolRunner:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def call(self, release: Release, tool: str, arguments: dict[str, Any]) -> Json:
        """Return the tool's result for the arguments.

        Raises:
            ModelMayRetry: The call went wrong; the subclass says how.
            DigestMismatch: The release's files were changed.
            SandboxError: Box code could not be run at all.
        """
        spec = release.tool(tool)
        check_arguments(spec, arguments)
        result = await self._call(release, tool, arguments)
        check_result(spec, result)
        return result

    async def _call(self, release: Release, tool: str, arguments: dict[str, Any]) -> Json:
        for left in reversed(range(ATTEMPTS)):
            try:
                async with self.worker(release) as worker:
                    return await worker.call(tool, arguments)
            except WorkerEnded:
                if not left:
                    raise
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def worker(self, release: Release) -> AsyncIterator[Worker]:
        """Lend a worker of the release, a warm one where there is one."""
        async with self._seat(release.digest):
            worker = await self._take(release.digest) or await self._start(release)
            try:
                yield worker
            finally:
                await self._put_back(release.digest, worker)

    @asynccontextmanager
    async def _seat(self, digest: str) -> AsyncIterator[None]:
        async with self._release_room[digest]:
            room = self._spare_room if self._in_use[digest] else self._first_room
            self._in_use[digest] += 1
            try:
                async with room:
                    yield
            finally:
                self._in_use[digest] -= 1
                if not self._in_use[digest]:
                    del self._in_use[digest]

    async def close(self) -> None:
        """End every idle worker, and each one in use when it is given back."""
        self._closed = True
        idle, self._idle = self._idle, []
        for one in idle:
            one.timer.cancel()
        await asyncio.gather(*self._retiring, *(one.worker.close() for one in idle))

    async def _take(self, digest: str) -> Worker | None:
        # The longest idle first: it has had the most time to fork its next children ahead.
        while mine := [one for one in self._idle if one.digest == digest]:
            worker = self._let_go(mine[0])
            if worker.alive:
                return worker
            await worker.close()
        return None

    async def _start(self, release: Release) -> Worker:
        while self._idle and len(self._idle) + self._in_use.total() > WORKERS:
            await self._let_go(self._idle[0]).close()
        return await self.sandbox.start(release)

    async def _put_back(self, digest: str, worker: Worker) -> None:
        if self._closed or not worker.alive:
            await worker.close()
            return
        timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._retire, worker)
        self._idle.append(_Idle(digest, worker, timer))

    def _let_go(self, one: _Idle) -> Worker:
        one.timer.cancel()
        self._idle.remove(one)
        return one.worker

    def _retire(self, worker: Worker) -> None:
        for one in [one for one in self._idle if one.worker is worker]:
            self._let_go(one)
            task = asyncio.ensure_future(worker.close())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
