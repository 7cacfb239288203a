"""A worker as a child process of this one: starting it, carrying its lines over two pipes, ending it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from boxwright.box.release import Release
from boxwright.sandbox.lines import GRACE_SECONDS, LineWorker, in_brackets, longest_reply, whole
from boxwright.sandbox.memory import MemoryWatch
from boxwright.sandbox.proc import processes
from boxwright.sandbox.rules import ENVIRONMENT, PYTHON_OPTIONS, memory_bound


def python_command() -> list[str]:
    """Return the interpreter that runs inside: the real one, not a virtual environment's link to it."""
    executable = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    return [str(executable), *PYTHON_OPTIONS]


def python_paths() -> list[Path]:
    """Return what that interpreter needs to start: itself, its standard library and its own shared library."""
    stdlib = Path(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix}))
    found = {stdlib, Path(sys.base_prefix) / "lib", Path(python_command()[0])}
    return sorted(path.resolve() for path in found if path.exists())


class LocalWorker(LineWorker):
    """A worker behind two pipes of a child process of ours."""

    def __init__(self, process: asyncio.subprocess.Process, release: Release) -> None:
        super().__init__(release)
        self._process = process

    @classmethod
    async def start(
        cls, command: list[str], config: dict[str, Any], release: Release, watch: MemoryWatch | None = None
    ) -> Self:
        """Start the command, hand it its configuration and wait until the box is imported.

        With a watch, it is ended where all its processes together take more memory than they may.

        Raises:
            WorkerLost: It could not be started, the import failed, or took longer than `START_SECONDS`.
        """
        starting = asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=ENVIRONMENT,
            limit=longest_reply(release),
            start_new_session=True,
        )
        worker = cls(await whole(starting, lambda process: cls(process, release).close()), release)
        if watch is not None:
            watch.add(worker)
        await worker._begin(config)
        return worker

    @property
    def pid(self) -> int:
        """The process all others of this worker descend from."""
        return self._process.pid

    @property
    def memory_bound(self) -> int:
        """What they may take together, in bytes."""
        return memory_bound(self._release.manifest.limits)

    @property
    def _running(self) -> bool:
        return self._process.returncode is None

    async def _send(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        await self._process.stdin.drain()

    async def _receive(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    async def _kill(self) -> str:
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._process.stdin.close()
        if self._process.returncode is None:
            _kill_all(self._process.pid)
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                stderr = await self._process.stderr.read()  # its end is the end of all that ran inside
                await self._process.wait()
        except TimeoutError:
            return " (something inside it did not end)"
        finally:
            # Nobody reads stdout to its end, so asyncio would keep its pipe; there is no public way to let go of it.
            self._process._transport.close()  # type: ignore[attr-defined]
        return in_brackets(stderr)


def _kill_all(top: int) -> None:
    """Kill a process, its session and all its descendants.

    Killed in its first milliseconds, bwrap leaves a child that has a session of its own and has not yet asked to die
    with it; so the session is stopped first, and then nobody in it can have a child that is not seen.
    """
    with suppress(ProcessLookupError):
        os.killpg(top, signal.SIGSTOP)
    for pid in processes().tree(top) - {top}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.killpg(top, signal.SIGKILL)
