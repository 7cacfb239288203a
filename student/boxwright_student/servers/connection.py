"""One MCP server kept within reach: started, listed, started again when it ends, and heard when its tools change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import httpx2
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST, CallToolResult, Tool

from boxwright.errors import ToolsUnreachable
from boxwright_student.servers.entries import ServerEntry
from boxwright_student.servers.errors import CallLost, in_a_line
from boxwright_student.servers.life import Life
from boxwright_student.servers.transport import LastLines

logger = logging.getLogger(__name__)
START_SECONDS = 60.0
"""How long a server may take to start and list its tools."""
MOST_ENDS = 2
"""A server that ends so often in a row, with no call answered in between, is given up."""
PAUSES: Final = (0.0, 0.5, 2.0, 5.0)
"""The seconds before each try to start or reach a server again."""
_CLOSED = {"Connection closed", "SSE stream ended without a response"}
"""What the SDK says under a code that servers use for errors of their own too."""


class Connection:
    """A server of an `mcp.json`, from `open` to `close`."""

    def __init__(self, name: str, entry: ServerEntry, on_change: Callable[[Connection], None]) -> None:
        """Reach nothing yet; `on_change` is called when the server's tools are others than before."""
        self.name, self.entry = name, entry
        self.tools: list[Tool] = []
        self._on_change = on_change
        self._stderr = LastLines()
        self._life: Life | None = None
        self._starting = asyncio.Lock()
        self._ends = self._in_flight = 0
        self._listing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start or reach the server and list its tools.

        Raises:
            ToolsUnreachable: It cannot be started or reached, or does not answer in time.
        """
        try:
            self._life = await self._start()
        except _NotReached as error:
            raise ToolsUnreachable(self._told(f"cannot reach the MCP server {self.name!r}", error)) from error
        self.tools = self._life.tools

    async def close(self) -> None:
        """Let the server go; one over stdio has ended when this returns."""
        life, self._life = self._life, None
        if self._listing is not None:
            self._listing.cancel()
        if life is not None:
            await life.end()

    async def call(self, tool: Tool, arguments: dict[str, Any]) -> CallToolResult:
        """Call a tool; if the server ends meanwhile it is started again, and a call that may be repeated is.

        Raises:
            CallLost: The call may or may not have been done.
            MCPError: The server refused it.
            RuntimeError, ValueError: The result breaks the tool's schema, or the protocol's.
            ToolsUnreachable: The server keeps ending, or cannot be reached again.
        """
        hints = tool.annotations
        repeatable = hints is not None and bool(hints.read_only_hint or hints.idempotent_hint)
        for last in (False, True):
            life = await self._reached()
            self._in_flight += 1
            try:
                result = await life.client.call_tool(tool.name, arguments)
            except (MCPError, RuntimeError) as error:
                if not _ended(life, error):
                    self._ends = 0
                    raise
                alone = self._in_flight == 1
                await self._bury(life)
                if last or not (repeatable or (alone and _never_sent(life, error))):
                    raise CallLost from error
            else:
                self._ends = 0
                return result
            finally:
                self._in_flight -= 1
        raise AssertionError("the second try returns or raises")

    async def settled(self) -> None:
        """Wait until a change that the server has told of is listed."""
        if self._listing is not None:
            await asyncio.wait({self._listing}, timeout=START_SECONDS)

    async def _reached(self) -> Life:
        async with self._starting:
            if self._life is not None and not self._life.ended:
                return self._life
            if self._life is not None:  # it ended between two calls, which is nobody's fault
                await self._life.end()
            error: _NotReached | None = None
            for pause in PAUSES:
                await asyncio.sleep(pause)
                try:
                    self._life = await self._start()
                except _NotReached as failed:
                    error = failed
                    if isinstance(failed.__cause__, TimeoutError):
                        break
                    continue
                self._take(self._life.tools)
                return self._life
            raise ToolsUnreachable(self._told(f"the MCP server {self.name!r} is gone", error)) from error

    async def _start(self) -> Life:
        life = Life(self.entry, self._stderr, self._heard)
        try:
            async with asyncio.timeout(START_SECONDS):
                await life.begin()
        except TimeoutError as error:
            await life.end()
            raise _NotReached(f"no answer within {START_SECONDS:g} seconds") from error
        except BaseException:
            await life.end()
            raise
        if life.error is not None:
            raise _NotReached(in_a_line(life.error)) from life.error
        return life

    async def _bury(self, life: Life) -> None:
        """Clear up after a server that ended during a call, once; raises ToolsUnreachable if it keeps ending."""
        if self._life is life:
            self._life = None
            self._ends += 1
        await life.end()
        if self._ends >= MOST_ENDS:
            raise ToolsUnreachable(self._told(f"the MCP server {self.name!r} keeps ending", life.error))

    def _heard(self) -> None:
        """The server says that its tools have changed: list them, once for all it says meanwhile."""
        if self._listing is None or self._listing.done():
            self._listing = asyncio.create_task(self._list())
        elif self._life is not None:
            self._life.stale = True

    async def _list(self) -> None:
        with suppress(MCPError, RuntimeError, ValueError, TimeoutError):  # the list stays as it was
            while self._life is not None and not self._life.ended:
                self._life.stale = False
                async with asyncio.timeout(START_SECONDS):
                    tools = await self._life.list_tools()
                if not self._life.stale:
                    self._take(tools)
                    return

    def _take(self, tools: list[Tool]) -> None:
        if tools != self.tools:
            self.tools = tools
            self._on_change(self)

    def _told(self, what: str, error: BaseException | None) -> str:
        last = str(self._stderr)
        why = f": {in_a_line(error)}" if error is not None else ""
        return f"{what} ({self.entry.place}){why}" + (f"; its last words:\n{last}" if last else "")


class _NotReached(Exception):
    """The server was not reached; the message says why."""


def _ended(life: Life, error: MCPError | RuntimeError) -> bool:
    if life.ended:
        return True
    if not isinstance(error, MCPError):
        return False
    return (error.code == CONNECTION_CLOSED and error.message in _CLOSED) or _forgotten(error)


def _forgotten(error: Exception) -> bool:
    """Say whether an HTTP server no longer knows our session, as after a restart."""
    return isinstance(error, MCPError) and error.code == INVALID_REQUEST and error.message == "Session terminated"


def _never_sent(life: Life, error: Exception) -> bool:
    return _forgotten(error) or isinstance(life.error, httpx2.ConnectError | httpx2.ConnectTimeout)
