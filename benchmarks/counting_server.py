"""The MCP server of `self_consistency.py`: two tools over stdio that write each of their executions into a file."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from fastmcp import FastMCP
from mcp_types import ToolAnnotations

LOG = Path(sys.argv[1])
SECONDS = 0.1
server = FastMCP("counting", version="1")


def note(name: str, arguments: dict[str, int]) -> None:
    """Write an execution down."""
    with LOG.open("a", encoding="utf-8") as file:
        file.write(json.dumps([name, arguments], sort_keys=True) + "\n")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
async def multiply(left: int, right: int) -> int:
    """Multiply two numbers; takes a tenth of a second."""
    note("multiply", {"left": left, "right": right})
    await asyncio.sleep(SECONDS)
    return left * right


@server.tool
async def book(number: int) -> int:
    """Book a number; this changes something."""
    note("book", {"number": number})
    return number


if __name__ == "__main__":
    server.run(show_banner=False)
