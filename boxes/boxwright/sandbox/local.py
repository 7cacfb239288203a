"""The host's side of a worker that runs as a child process: starting it, talking to it, ending it."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import secrets
import signal
import sys
import sysconfig
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

from packaging.specifiers import SpecifierSet

from boxwright.box.folder import check_digest
from boxwright.box.manifest import Limits
from boxwright.box.release import Release
from boxwright.errors import (
    ArgumentsInvalid,
    SandboxMissing,
    ToolFailed,
    ToolLimitReached,
    ToolRefused,
    ToolResultInvalid,
    WorkerLost,
)
from boxwright.jsontypes import Json

INSIDE = Path(__file__).parent / "inside"
"""The files that run in the sandbox."""
START_SECONDS = 20.0
GRACE_SECONDS = 5.0
"""How long past its limit a call's answer is waited for, before the worker itself is given up."""
SCRATCH_BYTES = 16 << 20
LONGEST_MESSAGE = 2000
LONGEST_REQUEST = 16 << 20
"""In bytes, as JSON."""
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
    "LANG": "C.UTF-8",
    "MALLOC_ARENA_MAX": "2",
}
"""The whole environment of box code: the same on every machine."""

_ERRORS: dict[str, type[ToolRefused | ToolFailed | ToolLimitReached | ToolResultInvalid]] = {
    "refused": ToolRefused,
    "failed": ToolFailed,
    "limit": ToolLimitReached,
    "result": ToolResultInvalid,
}


def python_command() -> list[str]:
    """Return the interpreter that runs inside: the real one, not a virtual environment's link to it."""
    executable = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    return [str(executable), "-P", "-s", "-S", "-B"]


def python_paths() -> list[Path]:
    """Return what that interpreter needs to start: itself, its standard library and its own shared library."""
    stdlib = Path(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix}))
    found = {stdlib, Path(sys.base_prefix) / "lib", Path(python_command()[0])}
    return sorted(path.resolve() for path in found if path.exists())


def configuration(limits: Limits, **differing: Any) -> dict[str, Any]:
    """Return the first line a worker reads; `differing` is what the sandbox decides."""
    return {
        "seconds": limits.seconds,
        "memory_mb": limits.memory_mb,
        "output_bytes": limits.output_bytes,
        "processes": limits.processes,
        "scratch_bytes": SCRATCH_BYTES,
        **differing,
    }


def check_release(release: Release) -> None:
    """Check that the files on disk are still the release's, and that it asks for nothing a sandbox here cannot give.

    Raises:
        DigestMismatch: The files were changed.
        SandboxMissing: It asks for the network, for packages or for another Python.
    """
    manifest = release.manifest
    if manifest.permissions.network != "none":
        raise SandboxMissing(f"box {release.title} asks for the network, which no sandbox here grants yet")
    if manifest.dependencies:
        wanted = ", ".join(manifest.dependencies)
        raise SandboxMissing(f"box {release.title} asks for {wanted}; no sandbox here installs packages yet")
    if not SpecifierSet(manifest.requires_python).contains(platform.python_version(), prereleases=True):
        raise SandboxMissing(
            f"box {release.title} asks for Python {manifest.requires_python}; this is {platform.python_version()}"
        )
    check_digest(release)


class LocalWorker:
    """A worker behind two pipes of a child process of ours."""

    def __init__(self, process: asyncio.subprocess.Process, release: Release) -> None:
        self._process, self._release = process, release
        self._turn = asyncio.Lock()
        self._broken = False
        self._ending: asyncio.Task[str] | None = None

    @classmethod
    async def start(cls, command: list[str], config: dict[str, Any], release: Release) -> Self:
        """Start the command, hand it its configuration and wait until the box is imported.

        Raises:
            WorkerLost: It could not be started, the import failed, or took longer than `START_SECONDS`.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=ENVIRONMENT,
            limit=release.manifest.limits.output_bytes + (64 << 10),
            start_new_session=True,
        )
        worker = cls(process, release)
        try:
            ready = await worker._exchange(json.dumps(config).encode() + b"\n", START_SECONDS)
            fault = _fault(ready)
        except BaseException as error:
            said = await worker._end()
            if isinstance(error, WorkerLost):
                raise WorkerLost(f"the worker of box {release.title} did not start: {error}{said}") from error
            raise
        if fault:
            await worker._end()
            raise WorkerLost(f"box {release.title} could not be imported: {fault}")
        return worker

    @property
    def alive(self) -> bool:
        """Whether another call may be tried."""
        return not self._broken and self._process.returncode is None

    async def call(self, tool: str, arguments: dict[str, Any]) -> Json:
        """See `Worker.call`."""
        return await self._ask({"op": "call", "tool": tool, "arguments": arguments})

    async def describe(self) -> dict[str, Any]:
        """See `Worker.describe`."""
        answer = await self._ask({"op": "describe"})
        if not isinstance(answer, dict):
            raise WorkerLost(f"the worker of box {self._release.title} described it as {answer!r}")
        return answer

    async def close(self) -> None:
        """See `Worker.close`."""
        await self._end()

    async def _ask(self, request: dict[str, Any]) -> Json:
        nonce = secrets.token_hex(16)
        line = f"{nonce} {json.dumps(request)}\n".encode()
        if len(line) > LONGEST_REQUEST:
            raise ArgumentsInvalid(f"the arguments have {len(line)} bytes as JSON, and may have {LONGEST_REQUEST}")
        async with self._turn:
            try:
                reply = await self._exchange(line, self._release.manifest.limits.seconds + GRACE_SECONDS)
            except BaseException:
                # A reply that comes later would answer the next call, so the worker goes.
                self._broken = True
                await self._end()
                raise
        return self._read(nonce, reply)

    async def _exchange(self, line: bytes, seconds: float) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                self._process.stdin.write(line)
                await self._process.stdin.drain()
                reply = await self._process.stdout.readline()
        except TimeoutError:
            raise WorkerLost(f"no answer within {seconds:g} seconds") from None
        except (ConnectionError, ValueError) as error:
            raise WorkerLost(f"the pipe to the worker broke ({error})") from error
        if not reply.endswith(b"\n"):
            raise WorkerLost("the worker ended")
        return reply

    def _read(self, nonce: str, reply: bytes) -> Json:
        own, _, body = reply.partition(b" ")
        try:
            answer = json.loads(body)
            if own.decode() != nonce or not isinstance(answer, dict):
                raise ValueError("it answers another call")
            # A call could have written its reply itself: that it is finite and Unicode is checked here again.
            json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
            if "result" in answer:
                return answer["result"]  # type: ignore[no-any-return]  # json.loads gives Json
            kind, message = str(answer["error"]), str(answer["message"])[:LONGEST_MESSAGE]
        except (ValueError, KeyError, RecursionError) as error:
            self._broken = True
            raise WorkerLost(f"the worker of box {self._release.title} broke its protocol: {error}") from error
        if kind not in _ERRORS:
            self._broken = True
            raise WorkerLost(f"the worker of box {self._release.title} refused to run it: {message}")
        raise _ERRORS[kind](message)

    async def _end(self) -> str:
        """Kill the worker and everything in its session; returns the end of what it wrote to stderr, for a message."""
        self._broken = True
        if self._ending is None:  # whoever comes second waits for the first
            self._ending = asyncio.create_task(self._kill())
        return await asyncio.shield(self._ending)

    async def _kill(self) -> str:
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._process.stdin.close()
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                stderr = await self._process.stderr.read()  # its end is the end of all that ran inside
                await self._process.wait()
        except TimeoutError:
            return " (something inside it did not end)"
        finally:
            # Nobody reads stdout to its end, so asyncio would keep its pipe; there is no public way to let go of it.
            self._process._transport.close()  # type: ignore[attr-defined]
        text = stderr.decode(errors="replace").strip()
        return f" ({text[-500:]})" if text else ""


class LocalSandbox(ABC):
    """Base of the sandboxes whose workers are child processes."""

    @abstractmethod
    async def start(self, release: Release) -> LocalWorker:
        """See `Sandbox.start`."""

    @asynccontextmanager
    async def worker(self, release: Release) -> AsyncIterator[LocalWorker]:
        """See `Sandbox.worker`."""
        worker = await self.start(release)
        try:
            yield worker
        finally:
            await worker.close()


def _fault(ready: bytes) -> str:
    """Return why the box's import failed, from the worker's first line, or nothing where it is ready.

    Raises:
        WorkerLost: The line is not one the worker writes.
    """
    try:
        answer = json.loads(ready)
        return "" if answer == {"ready": True} else str(answer["fault"])[:LONGEST_MESSAGE]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WorkerLost(f"it broke its protocol ({type(error).__name__})") from error
