"""Starting servers for the benchmarks: ours and their peers, as processes of their own."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

PLAIN = str(Path(__file__).parent / "plain_server.py")


@contextmanager
def box_server(*options: str, environment: Mapping[str, str] | None = None) -> Iterator[tuple[str, int]]:
    """Run `boxwright serve --http` on a free port; gives its address and process number."""
    command = [sys.executable, "-m", "boxwright", "serve", "--http", "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
    try:
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found
        yield found[0], process.pid
    finally:
        process.terminate()
        process.wait()


@asynccontextmanager
async def plain_server() -> AsyncIterator[str]:
    """Run the plain FastMCP server, whose tool runs in process, on a free port; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, PLAIN, str(port)], stderr=subprocess.DEVNULL)
    try:
        await _listening(port)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
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


def machine() -> str:
    """Return what the figures were measured on, in one line."""
    import platform

    return f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}, {platform.release()}"
