"""What fastmcp leaves undone and MCP asks for, in one place: schemas without a full listing, and word of changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastmcp import FastMCP
from fastmcp.exceptions import NotFoundError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import ToolResult
from mcp.server.connection import Connection
from mcp.server.context import CallNext as Handle
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp_types import CallToolRequestParams, SubscriptionsListenRequestParams

from boxwright.errors import BoxwrightError, ToolUnknown
from boxwright_server.errors import to_mcp_error
from boxwright_server.provider import RegistryProvider

logger = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
"""How often the registry is looked at for releases that were published, marked or removed."""


class NearMisses(Middleware):
    """Names the tools that come near when a client calls one that is not there."""

    def __init__(self, provider: RegistryProvider) -> None:
        self._provider = provider

    async def on_call_tool(
        self, context: MiddlewareContext[CallToolRequestParams], call_next: CallNext[CallToolRequestParams, ToolResult]
    ) -> ToolResult:
        """See `Middleware.on_call_tool`."""
        try:
            return await call_next(context)
        except BoxwrightError as error:  # the release that was asked for cannot be read, or a pin not be met
            raise to_mcp_error(error) from error
        except NotFoundError:
            unknown = ToolUnknown(self._provider.why_unknown(context.message.name))
            raise to_mcp_error(unknown) from unknown


class Announcements:
    """Tells clients that what is served has changed: those that listen for it, and those of a handshake, who never ask.

    Over stateless HTTP a connection ends with its request, so clients of a handshake have to list again there.
    """

    def __init__(self, server: FastMCP, provider: RegistryProvider) -> None:
        self._selection = provider.selection
        self._bus = InMemorySubscriptionBus()
        self._streams = ListenHandler(self._bus)
        self._handshakes: set[Connection] = set()
        server._mcp_server.middleware.append(self._remember)
        # without the handler a client that listens, as the server invites it to, is told that there is no such method
        server._mcp_server.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, self._streams)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look at the registry every second while the context lasts, and announce what changes."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self.end()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def end(self) -> None:
        """End the streams of those who listen; they would keep a server that is told to stop."""
        self._streams.close()

    async def _remember(self, ctx: ServerRequestContext[Any, Any], call_next: Handle) -> HandlerResult:
        """Keep the connection of a client whose handshake is done until it closes."""
        if ctx.method == "notifications/initialized":
            connection = ctx.session._connection  # the session is made anew for every message
            self._handshakes.add(connection)
            connection.exit_stack.callback(self._handshakes.discard, connection)
        return await call_next(ctx)

    async def _announce(self) -> None:
        await self._bus.publish(ToolsListChanged())
        for connection in list(self._handshakes):
            await connection.notify("notifications/tools/list_changed", None)

    async def _watch(self) -> None:
        known = None
        while True:
            try:
                now = await asyncio.to_thread(self._selection.changes)
            except (BoxwrightError, OSError) as error:
                logger.warning("the registry could not be read: %s", error)
            else:
                if known is not None and now != known:
                    await self._announce()
                known = now
            await asyncio.sleep(LOOK_SECONDS)


def fill_gaps(server: FastMCP, provider: RegistryProvider) -> Announcements:
    """Mend the server, and return what announces changes of the tool list.

    Without the schema hook the SDK runs the whole listing before every call over HTTP, to check its headers.
    """
    server._mcp_server.get_tool_input_schema = provider.input_schema
    server.add_middleware(NearMisses(provider))
    return Announcements(server, provider)
