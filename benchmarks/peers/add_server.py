"""The MCP server that all agents of `agents.py` call: one tool, over stdio."""

from __future__ import annotations

from fastmcp import FastMCP

server = FastMCP("plain", version="1")


@server.tool(annotations={"readOnlyHint": True})
def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


server.run(show_banner=False)
