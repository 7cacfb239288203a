"""The Python SDK's client and FastMCP's, both eras, against boxes over HTTP and stdio.

What FastMCP's client meets in memory is in tests/server.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import fastmcp
import mcp
import pytest
from fastmcp.client.transports import StdioTransport
from mcp.client.stdio import StdioServerParameters
from mcp.client.subscriptions import listen
from mcp_types import ToolListChangedNotification

from boxwright.sandbox.bubblewrap import Bubblewrap
from interop.clients import STDIO, boxwright, serving
from support.boxes import write_box

pytestmark = pytest.mark.extended  # starts servers: seconds that `make test` can spare
DOUBLE = "doubler__double"


class Heard:
    """Collects word of changes that comes unasked, as it does to clients of a handshake."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[object] = asyncio.Queue()

    async def __call__(self, message: object) -> None:
        """Keep a change; see `MessageHandlerFnT`."""
        if isinstance(message, ToolListChangedNotification):
            self.changes.put_nowait(message)


@asynccontextmanager
async def connected(sdk: str, era: str, url: str | None, heard: Heard | None = None) -> AsyncIterator[Any]:
    """Connect a client of an SDK to the address, or to a server of its own over stdio."""
    options: dict[str, Any] = {"mode": era, "message_handler": heard}
    if sdk == "mcp":
        server = url or StdioServerParameters(command=sys.executable, args=STDIO[1:], env=dict(os.environ))
        async with mcp.Client(server, **options) as client:
            yield client
    else:
        transport = url or StdioTransport(sys.executable, STDIO[1:], env=dict(os.environ), keep_alive=False)
        async with fastmcp.Client(transport, **options) as client:
            yield client.session


async def names(client: Any) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


@pytest.mark.parametrize("era", ["auto", "legacy"])
@pytest.mark.parametrize("transport", ["http", "stdio"])
async def test_the_python_sdk_lists_calls_and_is_told_what_to_change(
    transport: str, era: str, sandbox: Bubblewrap
) -> None:
    if transport == "stdio":
        await check_calls(era, None)
    else:
        with serving("boxwright", "serve", "--http", "--port", "0") as url:
            await check_calls(era, url)


async def check_calls(era: str, url: str | None) -> None:
    async with connected("mcp", era, url) as client:
        assert client.protocol_version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[era]
        assert {"dates__weekday", "game_of_24__solve"} <= set(await names(client))
        called = await client.call_tool("dates__weekday", {"day": "2001-09-11"})
        assert (called.structured_content, called.is_error) == ({"result": "Tuesday"}, False)
        refused = await client.call_tool("dates__weekday", {"day": "2001-13-11"})
        assert refused.is_error
        assert "day must be a real date as YYYY-MM-DD, got '2001-13-11'" in refused.content[0].text
        unknown = await client.call_tool("dates__weekdy", {"day": "2001-09-11"})
        assert unknown.is_error
        assert "did you mean 'dates__weekday'" in unknown.content[0].text


@pytest.mark.parametrize("sdk", ["mcp", "fastmcp"])
@pytest.mark.parametrize("transport", ["http", "stdio"])
async def test_a_client_that_listens_hears_of_a_box_published_and_yanked(
    transport: str, sdk: str, sandbox: Bubblewrap, tmp_path: Path
) -> None:
    if transport == "stdio":
        await check_listening(sdk, None, tmp_path)
    else:
        with serving("boxwright", "serve", "--http", "--port", "0") as url:
            await check_listening(sdk, url, tmp_path)


async def check_listening(sdk: str, url: str | None, tmp_path: Path) -> None:
    async with (
        connected(sdk, "auto", url) as client,
        listen(getattr(client, "session", client), tools_list_changed=True) as changes,
    ):
        await publish_and_yank(client, tmp_path, changes.__anext__)


@pytest.mark.parametrize("sdk", ["mcp", "fastmcp"])
async def test_over_stdio_a_client_of_a_handshake_hears_too(sdk: str, sandbox: Bubblewrap, tmp_path: Path) -> None:
    heard = Heard()
    async with connected(sdk, "legacy", None, heard) as client:
        await publish_and_yank(client, tmp_path, heard.changes.get)


async def publish_and_yank(client: Any, tmp_path: Path, change: Callable[[], Awaitable[object]]) -> None:
    """Publish a box and yank it, listing anew at each word of a change until the list says so."""
    assert DOUBLE not in await names(client)
    await asyncio.to_thread(boxwright, "boxes", "publish", str(write_box(tmp_path / "doubler")))
    await asyncio.wait_for(change(), 20)
    while DOUBLE not in await names(client):  # publishing takes steps, and word of one may come before the last of them
        await asyncio.wait_for(change(), 20)
    await asyncio.to_thread(boxwright, "boxes", "mark", "doubler", "1.0.0", "yanked")
    await asyncio.wait_for(change(), 20)
    while DOUBLE in await names(client):
        await asyncio.wait_for(change(), 20)
