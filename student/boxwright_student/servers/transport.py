"""How a server's bytes come and go: stdio with its stderr kept, streamable HTTP, and the SSE of before it."""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Self

import anyio
import httpx2
from mcp.client._transport import ReadStream, TransportStreams
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import MCP_DEFAULT_TIMEOUT, create_mcp_http_client
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter
from pydantic import ValidationError

from boxwright.models.base import without_halves
from boxwright_student.servers.entries import ServerEntry

CALL_SECONDS = 660.0
"""A little more than the longest limit a box may have."""
KEPT_LINES = 20
"""How much of a server's stderr is kept, to be told with an error."""
_LONGEST_LINE = 2000


class LastLines:
    """The last lines that a server wrote to stderr, and what else it said that is no MCP."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._open = ""

    def feed(self, text: str) -> None:
        """Take the next piece."""
        *whole, self._open = (self._open + text).split("\n")
        self._lines.extend(line[:_LONGEST_LINE] for line in whole if line.strip())
        self._open = self._open[:_LONGEST_LINE]

    def __str__(self) -> str:
        return "\n".join([*self._lines, self._open]).strip()


@asynccontextmanager
async def transport(
    entry: ServerEntry, stderr: LastLines, on_end: Callable[[], None]
) -> AsyncIterator[TransportStreams]:
    """Open the way to a server; `on_end` is called when the server ends it, as far as that shows.

    Raises:
        OSError: The server cannot be started.
    """
    if entry.transport == "stdio":
        async with _stdio(entry, stderr) as (read, write):
            yield _Watched(read, on_end, stderr), write
    elif entry.transport == "http":
        assert entry.url is not None
        timeout = httpx2.Timeout(MCP_DEFAULT_TIMEOUT, read=CALL_SECONDS)
        async with (
            create_mcp_http_client(headers=entry.headers, timeout=timeout) as http,
            streamable_http_client(entry.url, http_client=http) as streams,
        ):
            http.event_hooks["response"].append(partial(_note_refusal, stderr))
            yield streams
    else:
        from mcp.client.sse import sse_client

        assert entry.url is not None
        async with sse_client(entry.url, headers=entry.headers, sse_read_timeout=CALL_SECONDS) as (read, write):
            yield _Watched(read, on_end, stderr), write


async def _note_refusal(last: LastLines, response: httpx2.Response) -> None:
    """Keep the status of a refusal: the SDK tells only that there was one."""
    if response.is_error:
        last.feed(f"HTTP {response.status_code} {response.reason_phrase}\n")


@asynccontextmanager
async def _stdio(entry: ServerEntry, stderr: LastLines) -> AsyncIterator[TransportStreams]:
    assert entry.command is not None
    parameters = StdioServerParameters(
        command=entry.command,
        args=entry.args,
        env=entry.env,
        cwd=entry.cwd,
        encoding_error_handler="replace",  # a banner in another encoding would end the reading, and nobody be told
    )
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as theirs:
        async with _reading(read_end, stderr), stdio_client(parameters, errlog=theirs) as streams:
            theirs.close()  # the server holds its own; ours would keep the pipe open after its end
            yield streams


@asynccontextmanager
async def _reading(descriptor: int, stderr: LastLines) -> AsyncIterator[None]:
    """Read a server's stderr all the time: a full pipe would make it wait for ever."""
    protocol = _Stderr(stderr)
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(descriptor, "rb"))
    try:
        yield
        # The server has ended and its last words are in the pipe, unless a process that it left behind holds it open.
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await protocol.ended.wait()
    finally:
        pipe.close()


class _Stderr(asyncio.Protocol):
    def __init__(self, stderr: LastLines) -> None:
        self._stderr = stderr
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._stderr.feed(data.decode(errors="replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


class _Watched:
    """A read stream that says when it ends: the SDK tells only those who wait for an answer.

    And one that reads what it can of answers that the SDK refuses: whoever waits for one would wait till the end.
    """

    def __init__(
        self, inner: ReadStream[SessionMessage | Exception], on_end: Callable[[], None], last: LastLines
    ) -> None:
        self._inner, self._on_end, self._last = inner, on_end, last

    async def receive(self) -> SessionMessage | Exception:
        try:
            received = await self._inner.receive()
            return self._refused(received) if isinstance(received, ValidationError) else received
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._on_end()
            raise

    def _refused(self, error: ValidationError) -> SessionMessage | Exception:
        line = error.errors()[0]["input"]
        try:
            told = json.loads(line)
            mended = without_halves(json.dumps(told, ensure_ascii=False))
            return SessionMessage(jsonrpc_message_adapter.validate_json(mended, by_name=False))
        except (ValueError, TypeError, RecursionError):
            if str(line).strip():
                self._last.feed(f"no MCP message, on stdout: {str(line)[:200]}\n")
            return error

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
