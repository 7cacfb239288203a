"""One life of a connection: the SDK's client and the task that holds it, from its start until either side ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mcp import Client
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types import Tool, ToolListChangedNotification
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from boxwright_student.servers.entries import ServerEntry
from boxwright_student.servers.transport import CALL_SECONDS, LastLines, transport

MOST_PAGES = 1000
LISTEN_AGAIN_SECONDS = 5.0
"""The pause before a stream of changes that broke off is opened again."""


class Life:
    """A client has to be left by the task that entered it, so each has a task of its own; calls come from any."""

    client: Client
    tools: list[Tool]

    def __init__(self, entry: ServerEntry, stderr: LastLines, on_change: Callable[[], None]) -> None:
        self._entry, self._stderr, self._on_change = entry, stderr, on_change
        self._stop, self._ready = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.error: BaseException | None = None
        """What ended it, where that was no end in order."""
        self.stale = False
        """Whether the server told of a change after the listing under way began."""

    @property
    def ended(self) -> bool:
        """Whether the server has ended the connection, as far as that shows; or we have."""
        return self._stop.is_set() or (self._task is not None and self._task.done())

    async def begin(self) -> None:
        """Start or reach the server and list its tools; what went wrong is in `error`."""
        self._task = asyncio.create_task(self._hold())
        await self._ready.wait()

    async def end(self) -> None:
        """End the connection; a server over stdio is gone when this returns."""
        self._stop.set()
        if self._task is not None:
            if not self._ready.is_set():  # it hangs in its start
                self._task.cancel()
            await asyncio.wait({self._task})

    async def list_tools(self) -> list[Tool]:
        """Ask the server for all its tools."""
        found: list[Tool] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = await self.client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if not cursor:
                return found
        raise ValueError(f"the list of tools has no end: {MOST_PAGES} pages and more")

    async def _hold(self) -> None:
        try:
            way = transport(self._entry, self._stderr, self._stop.set)
            client = Client(way, read_timeout_seconds=CALL_SECONDS, message_handler=self._on_message, cache=None)
            async with client as self.client:
                await self._live()
        except Exception as error:  # whatever the transport ends in; those who wait for it read it
            self.error = _root(error)
        finally:
            self._ready.set()

    async def _live(self) -> None:
        listening = asyncio.create_task(self._listen())  # before the listing, so that no change falls between the two
        try:
            self.tools = await self.list_tools()
            self._ready.set()
            await self._stop.wait()
        finally:
            listening.cancel()
            await asyncio.wait({listening})

    async def _listen(self) -> None:
        """Hold the stream open on which servers since 2026-07-28 tell of changes; earlier ones tell unasked."""
        tools = self.client.server_capabilities.tools
        if self.client.protocol_version not in MODERN_PROTOCOL_VERSIONS or not tools or not tools.list_changed:
            return
        while not self.ended:
            try:
                async with self.client.listen(tools_list_changed=True) as stream:
                    async for _ in stream:  # `_on_message` gets what comes here
                        pass
            except MCPError:
                return  # the server has no such stream after all
            except (SubscriptionLost, TimeoutError):
                pass
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)
            self._on_change()  # what changed meanwhile, nobody was told

    async def _on_message(self, message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._on_change()


def _root(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
