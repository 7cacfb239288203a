"""All 1,362 Game of 24 puzzles through a real MCP client: a sandboxed box beside a plain FastMCP tool.

Run it with `make bench`. Both serve the same function and are asked in turn, puzzle by puzzle, so that the machine's
drift hits both; what counts is the ratio. Every answer is scored.
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from boxwright.tasks import load_suite, score

PLAIN = str(Path(__file__).parent / "plain_server.py")
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
    command = [sys.executable, "-m", "boxwright", "serve", "--http", "--port", "0"]
    boxes = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plain = subprocess.Popen([sys.executable, PLAIN, str(port)], stderr=subprocess.DEVNULL)
    try:
        assert boxes.stderr is not None
        found = re.search(r"http://\S+", boxes.stderr.readline())
        assert found
        await _listening(port)
        async with Client(found[0], mode=mode) as ours, Client(f"http://127.0.0.1:{port}/mcp", mode=mode) as theirs:
            yield ours, theirs
    finally:
        for process in (boxes, plain):
            process.terminate()
            process.wait()


async def _listening(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            await asyncio.sleep(0.1)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")


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
    print(f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}, {platform.release()}")
    async with stdio() as clients:
        await measure("stdio", clients)
    async with http("auto") as clients:
        await measure("HTTP modern", clients)
    async with http("legacy") as clients:
        await measure("HTTP legacy", clients)


if __name__ == "__main__":
    asyncio.run(main())
