"""An MCP server, to be run as a program, whose tools do what servers do in the wild: die, change, and answer oddly.

`python odd_server.py [--http PORT [--sessions]]`. ODD_LOG names a file that takes a line for every call.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.shared.exceptions import MCPError

LOG = os.environ.get("ODD_LOG")
OBJECT: dict[str, Any] = {"type": "object", "properties": {}}
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
PIXEL = "iVBORw0KGgo=" * 4000
bus = InMemorySubscriptionBus()


def tool(name: str, *, output: dict[str, Any] | None = None, **hints: bool) -> types.Tool:
    annotations = types.ToolAnnotations(**hints) if hints else None
    return types.Tool(
        name=name, description=f"Does {name}.", input_schema=OBJECT, output_schema=output, annotations=annotations
    )


TOOLS = {
    one.name: one
    for one in (
        tool("echo", read_only_hint=True),
        tool("write"),
        tool("die"),
        tool("die_always", idempotent_hint=True),
        tool("die_once", idempotent_hint=True),
        tool("big"),
        tool("blocks"),
        tool("structured", output=NUMBER),
        tool("wrapped", output={"type": "object", "properties": {"result": {}}, "x-fastmcp-wrap-result": True}),
        tool("broken", output=NUMBER),
        tool("empty"),
        tool("error"),
        tool("refuse"),
        tool("grow"),
        tool("noise"),
        tool("a.tool/with letters"),
        tool("a_tool_with_letters"),
        tool("long_" + "x" * 100),
    )
}


def text(words: str, *, error: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=words)], is_error=error)


def structured(value: Any) -> types.CallToolResult:
    return types.CallToolResult(content=[], structured_content=value)


BLOCKS: list[types.ContentBlock] = [
    types.TextContent(text="seen"),
    types.ImageContent(data=PIXEL, mime_type="image/png"),
    types.AudioContent(data="AAAA", mime_type="audio/wav"),
    types.EmbeddedResource(resource=types.TextResourceContents(uri="file:///a.txt", text="inside")),
    types.EmbeddedResource(
        resource=types.BlobResourceContents(uri="file:///a.bin", mime_type="application/zip", blob=PIXEL)
    ),
    types.ResourceLink(name="b", uri="file:///b.txt"),
]
RESULTS = {
    "write": text("written"),
    "big": text("a" * 2_500_000 + "b" * 2_500_000),
    "blocks": types.CallToolResult(content=BLOCKS),
    "structured": structured({"n": 7}),
    "wrapped": structured({"result": [1, 2]}),
    "broken": structured({"n": "seven"}),
    "empty": types.CallToolResult(content=[]),
    "error": text("it is not so", error=True),
}


def die(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()
    os._exit(3)


async def call(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    if LOG:
        with Path(LOG).open("a") as log:
            log.write(f"{params.name}\n")
    if params.name in ("die", "die_always"):
        die("I was told to die")
    if params.name == "die_once" and LOG and Path(LOG).read_text().count("die_once") == 1:
        die("once")
    if params.name == "refuse":
        raise MCPError(code=-32000, message="rate limit")
    if params.name == "grow":
        TOOLS["grown"] = tool("grown")
        del TOOLS["empty"]
        await bus.publish(ToolsListChanged())
        if context.session.protocol_version < "2026":
            await context.session.send_tool_list_changed()
    if params.name == "noise":
        for number in range(20_000):
            sys.stderr.write(f"noise {number} {'~' * 60}\n")
    return RESULTS.get(params.name, text(f"{params.name} {params.arguments}"))


async def list_tools(context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    names = list(TOOLS)
    start = int(params.cursor) if params and params.cursor else 0
    page = [TOOLS[name] for name in names[start : start + 10]]
    return types.ListToolsResult(tools=page, next_cursor=str(start + 10) if start + 10 < len(names) else None)


def main() -> None:
    server = Server("odd", version="1", on_list_tools=list_tools, on_call_tool=call)
    server.add_request_handler("subscriptions/listen", types.SubscriptionsListenRequestParams, ListenHandler(bus))
    if "--http" in sys.argv:
        import uvicorn

        app = server.streamable_http_app(stateless_http="--sessions" not in sys.argv)
        port = int(sys.argv[sys.argv.index("--http") + 1])
        uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
        return

    async def serve() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options(NotificationOptions(tools_changed=True)))

    anyio.run(serve)


if __name__ == "__main__":
    main()
