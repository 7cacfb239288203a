"""What fastmcp leaves undone and MCP asks for, in one place: schemas without a full listing, and word of changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastmcp import FastMCP
from fastmcp.exceptions import NotFoundError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import ToolResult
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp_types import CallToolRequestParams, SubscriptionsListenRequestParams

from boxwright.errors import BoxwrightError, ToolUnknown
from boxwright_server.errors import to_mcp_error
from boxwright_server.provider import RegistryProvider

logger = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
"""How often the registry is looked at for new or yanked releases."""


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
        except BoxwrightError as error:  # the release that was asked for cannot be read
            raise to_mcp_error(error) from error
        except NotFoundError as error:
            raise to_mcp_error(ToolUnknown(self._provider.why_unknown(context.message.name))) from error


def fill_gaps(server: FastMCP, provider: RegistryProvider) -> InMemorySubscriptionBus:
    """Mend the server, and return the bus on which changes of the tool list are announced.

    Without the schema hook the SDK runs the whole listing before every call over HTTP, to check its headers; without
    the handler a client that listens for changes, which the server advertises, is told that there is no such method.
    """
    low_level = server._mcp_server
    low_level.get_tool_input_schema = provider.input_schema
    server.add_middleware(NearMisses(provider))
    bus = InMemorySubscriptionBus()
    low_level.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, ListenHandler(bus))
    return bus


@asynccontextmanager
async def announcing(provider: RegistryProvider, bus: InMemorySubscriptionBus) -> AsyncIterator[None]:
    """Watch the registry while the context lasts, and announce when what is served changes."""

    async def watch() -> None:
        served = provider.state()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                now = provider.state()
            except BoxwrightError as error:
                logger.warning("the registry could not be read: %s", error)
                continue
            if now != served:
                served = now
                await bus.publish(ToolsListChanged())

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
