"""The host's side of a worker: its protocol of JSON lines, whatever carries them. What carries them is a subclass's."""

from __future__ import annotations

import asyncio
import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from boxwright.box.release import Release
from boxwright.errors import (
    ArgumentsInvalid,
    ToolFailed,
    ToolLimitReached,
    ToolRefused,
    ToolResultInvalid,
    WorkerEnded,
    WorkerLost,
)
from boxwright.jsontypes import Json
from boxwright.sandbox.rules import over_memory

START_SECONDS = 20.0
GRACE_SECONDS = 5.0
"""How long past its limit a call's answer is waited for, before the worker itself is given up."""
LONGEST_MESSAGE = 2000
LONGEST_REQUEST = 4 << 20
"""In bytes, as JSON."""

_ERRORS: dict[str, type[ToolRefused | ToolFailed | ToolLimitReached | ToolResultInvalid]] = {
    "refused": ToolRefused,
    "failed": ToolFailed,
    "limit": ToolLimitReached,
    "result": ToolResultInvalid,
}
_Made = TypeVar("_Made")
_UNDOING: set[asyncio.Future[None]] = set()
"""Kept here while they run, since the loop alone would let go of them."""


def longest_reply(release: Release) -> int:
    """Return how long a line of the release's worker may be, in bytes."""
    return release.manifest.limits.output_bytes + (64 << 10)


class LineWorker(ABC):
    """A worker that reads and writes lines; a subclass carries them and ends it."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._turn = asyncio.Lock()
        self._broken = False
        self._over = ""
        self._ending: asyncio.Task[str] | None = None

    @abstractmethod
    async def _send(self, line: bytes) -> None:
        """Hand a line over."""

    @abstractmethod
    async def _receive(self) -> bytes:
        """Return the next line, or what came before the end; ValueError where it is longer than it may be."""

    @abstractmethod
    async def _kill(self) -> str:
        """End the worker and everything in it; returns what it wrote to stderr at the end, in brackets, or nothing."""

    @property
    @abstractmethod
    def _running(self) -> bool:
        """Whether the worker is not known to have ended."""

    @property
    def alive(self) -> bool:
        """Whether another call may be tried."""
        return not self._broken and self._running

    @property
    def busy(self) -> bool:
        """Whether a start or a call is under way."""
        return self._turn.locked()

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

    async def end_over_memory(self) -> None:
        """End the worker since its processes took too much together; a call under way raises `ToolLimitReached`."""
        self._over = over_memory(self._release.manifest.limits)
        await self._end()

    async def _begin(self, config: dict[str, Any]) -> None:
        """Hand over the configuration and wait until the box is imported; ends the worker where that fails.

        Raises:
            WorkerLost: The import failed, or took longer than `START_SECONDS`.
        """
        title = self._release.title
        try:
            async with self._turn:
                ready = await self._exchange(json.dumps(config).encode() + b"\n", START_SECONDS)
            fault = _fault(ready)
        except BaseException as error:
            said = await self._end()
            if isinstance(error, WorkerLost):
                kind = WorkerLost if self._over else type(error)
                raise kind(f"the worker of box {title} did not start: {self._over or error}{said}") from error
            raise
        if fault:
            await self._end()
            raise WorkerLost(f"box {title} could not be imported: {fault}")

    async def _ask(self, request: dict[str, Any]) -> Json:
        nonce = secrets.token_hex(16)
        line = f"{nonce} {json.dumps(request)}\n".encode()
        if len(line) > LONGEST_REQUEST:
            raise ArgumentsInvalid(
                f"the arguments have {len(line)} bytes as JSON, and may have {LONGEST_REQUEST}; shorten them"
            )
        async with self._turn:
            try:
                reply = await self._exchange(line, self._release.manifest.limits.seconds + GRACE_SECONDS)
            except BaseException as error:
                # A reply that comes later would answer the next call, so the worker goes.
                self._broken = True
                await self._end()
                if self._over and isinstance(error, WorkerLost):
                    raise ToolLimitReached(self._over) from error
                raise
        return self._read(nonce, reply)

    async def _exchange(self, line: bytes, seconds: float) -> bytes:
        try:
            async with asyncio.timeout(seconds):
                await self._send(line)
                reply = await self._receive()
        except TimeoutError:
            raise WorkerLost(f"no answer within {seconds:g} seconds") from None
        except (ConnectionError, ValueError) as error:
            kind = WorkerLost if isinstance(error, ValueError) else WorkerEnded
            raise kind(f"the pipe to the worker broke ({error})") from error
        if not reply.endswith(b"\n"):
            raise WorkerEnded("the worker ended")
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
        """Kill the worker and everything in it; returns the end of what it wrote to stderr, for a message."""
        self._broken = True
        if self._ending is None:  # whoever comes second waits for the first
            self._ending = asyncio.create_task(self._kill())
        return await asyncio.shield(self._ending)


class LineSandbox(ABC):
    """Base of the sandboxes whose workers speak in lines."""

    @abstractmethod
    async def start(self, release: Release) -> LineWorker:
        """See `Sandbox.start`."""

    @asynccontextmanager
    async def worker(self, release: Release) -> AsyncIterator[LineWorker]:
        """See `Sandbox.worker`."""
        worker = await self.start(release)
        try:
            yield worker
        finally:
            await worker.close()


async def whole(making: Coroutine[Any, Any, _Made], undo: Callable[[_Made], Awaitable[object]]) -> _Made:
    """Await something that cannot be left half made: cancelled, it is made all the same, and then undone."""
    task = asyncio.ensure_future(making)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # anyio, and so MCP, cancels again at each turn of the loop: what undoes it is a task of its own
        undoing = asyncio.ensure_future(_undone(task, undo))
        _UNDOING.add(undoing)
        undoing.add_done_callback(_UNDOING.discard)
        await asyncio.shield(undoing)
        raise


async def _undone(made: asyncio.Future[_Made], undo: Callable[[_Made], Awaitable[object]]) -> None:
    with suppress(OSError):
        await undo(await made)


def in_brackets(stderr: bytes) -> str:
    """Return the end of what a worker wrote to stderr, as it is put behind a message."""
    text = stderr.decode(errors="replace").strip()
    return f" ({text[-500:]})" if text else ""


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
