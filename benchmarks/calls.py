"""All 1,362 Game of 24 puzzles through a real MCP client: a sandboxed box beside a plain FastMCP tool.

Run it with `make bench`. Both serve the same function and are asked in turn, puzzle by puzzle, so that the machine's
drift hits both; what counts is the ratio. Every answer is scored.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from boxwright.tasks import load_suite, score
from servers import PLAIN, box_server, machine, plain_server

TOOLS = ("game_of_24__solve", "solve")


@asynccontextmanager
async def stdio() -> AsyncIterator[tuple[Client[Any], Client[Any]]]:
    """Connect to both servers over stdio."""
    boxes = StdioTransport(sys.executable, ["-m", "boxwright_server", "--stdio"], env=dict(os.environ))
    plain = StdioTransport(sys.executable, [PLAIN, "stdio"], env=dict(os.environ))
    async with Client(boxes) as ours, Client(plain) as theirs:
        yield ours, theirs


@asynccontextmanager
async def http(mode: str) -> AsyncIterator[tuple[Client[Any], Client[Any]]]:
    """Connect to both servers over streamable HTTP, in one era of the protocol."""
    with box_server() as (ours_at, _):
        async with (
            plain_server() as theirs_at,
            Client(ours_at, mode=mode) as ours,
            Client(theirs_at, mode=mode) as theirs,
        ):
            yield ours, theirs


async def measure(name: str, clients: tuple[Client[Any], Client[Any]]) -> None:
    """Ask both for every puzzle and print what came of it."""
    seconds: tuple[list[float], list[float]] = ([], [])
    right = [0, 0]
    tasks = load_suite("game24").tasks
    for client, tool in zip(clients, TOOLS, strict=True):
        await client.call_tool(tool, {"numbers": [4, 9, 10, 13]})
    for task in tasks:
        for which in (0, 1):
            started = time.perf_counter()
            result = await clients[which].call_tool(TOOLS[which], {"numbers": list(task.numbers)})
            seconds[which].append(time.perf_counter() - started)
            right[which] += score(task, result.data).right
    ratio = statistics.median(seconds[0]) / statistics.median(seconds[1])
    print(f"{name:12} box   right {right[0]} of {len(tasks)}  {_shown(seconds[0])}")
    print(f"{'':12} plain right {right[1]} of {len(tasks)}  {_shown(seconds[1])}  ratio of p50 {ratio:.2f}", flush=True)


def _shown(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"p50 {ordered[len(ordered) // 2] * 1e3:6.2f} ms  p95 {ordered[int(len(ordered) * 0.95)] * 1e3:6.2f} ms"


async def main() -> None:
    """Measure each transport."""
    print(machine())
    async with stdio() as clients:
        await measure("stdio", clients)
    async with http("auto") as clients:
        await measure("HTTP modern", clients)
    async with http("legacy") as clients:
        await measure("HTTP legacy", clients)


if __name__ == "__main__":
    asyncio.run(main())
