"""The one way to call a tool: arguments checked, a warm worker taken, the result checked."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from boxwright.box.release import Release
from boxwright.box.validation import check_arguments, check_result
from boxwright.errors import WorkerLost
from boxwright.jsontypes import Json
from boxwright.sandbox.base import Sandbox, Worker

WORKERS_PER_RELEASE = 4
IDLE_WORKERS = 32
"""Warm workers kept over all releases; beyond, the one longest idle is retired."""


class ToolRunner:
    """Calls tools of releases, and keeps warm workers between the calls.

    Use it as an async context manager: leaving it ends every worker.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._idle: list[tuple[str, Worker]] = []
        """Digest and worker, the longest idle first."""
        self._closed = False
        self._room: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(WORKERS_PER_RELEASE))

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
        async with self._room[release.digest]:
            if worker := await self._take(release.digest):
                try:
                    return await worker.call(tool, arguments)
                except WorkerLost:
                    pass  # it may have died idle; a call leaves nothing behind, so it may be made again, on a new one
                finally:
                    await self._put_back(release.digest, worker)
            worker = await self._sandbox.start(release)
            try:
                return await worker.call(tool, arguments)
            finally:
                await self._put_back(release.digest, worker)

    @asynccontextmanager
    async def worker(self, release: Release) -> AsyncIterator[Worker]:
        """Lend a worker of the release, a warm one where there is one."""
        async with self._room[release.digest]:
            worker = await self._take(release.digest) or await self._sandbox.start(release)
            try:
                yield worker
            finally:
                await self._put_back(release.digest, worker)

    async def close(self) -> None:
        """End every idle worker, and each one in use when it is given back."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(worker.close() for _, worker in idle))

    async def _take(self, digest: str) -> Worker | None:
        while mine := [entry for entry in self._idle if entry[0] == digest]:
            self._idle.remove(mine[-1])
            worker = mine[-1][1]
            if worker.alive:
                return worker
            await worker.close()
        return None

    async def _put_back(self, digest: str, worker: Worker) -> None:
        if self._closed or not worker.alive:
            await worker.close()
            return
        self._idle.append((digest, worker))
        if len(self._idle) > IDLE_WORKERS:
            await self._idle.pop(0)[1].close()
