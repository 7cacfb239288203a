"""Puts the server for the suite together and runs it: `python -m support.conformance.server stateless|sessions`.

`stateless` serves it exactly as the product serves boxes over HTTP. `sessions` keeps a session for each client, which the
fixtures that ask a client of 2025-11-25 back need; boxes never do.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import uvicorn
from fastmcp import FastMCP
from fastmcp.prompts import Prompt
from mcp.server.subscriptions import ListenHandler, PromptsListChanged

from boxwright.registry import open_registry
from boxwright.settings import Settings
from boxwright_server.app import create_server
from boxwright_server.http import bound_socket, serve_http
from support.conformance.boxes import RENAMED, publish_boxes, renaming, yank_or_restore
from support.conformance.content import MIRRORED, add_content, add_prompts, add_resources
from support.conformance.dialogue import (
    add_capabilities,
    add_reports,
    add_requests,
    add_rounds,
    add_rounds_with_state,
)


def conformance_server(settings: Settings) -> FastMCP:
    """Return the product's server over the registry of the settings, with the suite's other fixtures beside the boxes."""
    server = create_server(settings)
    server.add_transform(renaming())
    for add in (add_content, add_resources, add_prompts, add_reports, add_requests, add_capabilities):
        add(server)
    add_rounds(server)
    add_rounds_with_state(server)
    registry = open_registry(settings)

    @server.tool
    def test_trigger_tool_change() -> str:
        """Yank or restore a box of the registry that is served."""
        return yank_or_restore(registry)

    @server.tool
    async def test_trigger_prompt_change() -> str:
        """Add a prompt and announce it on the bus on which the product announces tools."""
        server.add_prompt(Prompt.from_function(lambda: "Another.", name="another", description="Another prompt."))
        entry = server._mcp_server.get_request_handler("subscriptions/listen")
        assert entry is not None
        assert isinstance(entry.handler, ListenHandler)
        await entry.handler._bus.publish(PromptsListChanged())
        return "added"

    boxes = server._mcp_server.get_tool_input_schema
    served = {name: box for box, name in RENAMED.items()}

    def input_schema(name: str) -> Mapping[str, Any] | None:
        if name == "test_mirrored_argument":
            return MIRRORED
        return boxes(served.get(name, name)) if boxes else None

    server._mcp_server.get_tool_input_schema = input_schema
    return server


async def serve_sessions(server: FastMCP) -> None:
    """Serve with a session for each client, and print the address as `serve_http` does."""
    app = server.http_app(path="/mcp", host_origin_protection=True)
    with bound_socket("127.0.0.1", 0) as listener:
        sys.stderr.write(f"the suite's server is at http://127.0.0.1:{listener.getsockname()[1]}/mcp\n")
        sys.stderr.flush()
        config = uvicorn.Config(app, log_level="warning", lifespan="on", ws="none", timeout_graceful_shutdown=1)
        await uvicorn.Server(config).serve(sockets=[listener])


async def main(how: str) -> None:
    """Publish the boxes and serve them until interrupted."""
    settings = Settings()
    await publish_boxes(settings)
    server = conformance_server(settings)
    await (serve_sessions(server) if how == "sessions" else serve_http(server, settings, "127.0.0.1", 0))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
