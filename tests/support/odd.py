"""The odd server (`odd_server.py`) as tests start it: over stdio by an entry, or over HTTP as a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boxwright_student.mcp_tools import ServerEntry

HERE = Path(__file__).parent
OLD = ServerEntry(command=sys.executable, args=[str(HERE / "old_server.py")])


def odd(log: Path | None = None, *, trusted: bool = False) -> ServerEntry:
    """Return the entry of an odd server over stdio, which writes its calls to `log`."""
    env = {"ODD_LOG": str(log)} if log else None
    return ServerEntry(command=sys.executable, args=[str(HERE / "odd_server.py")], env=env, trusted=trusted)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the process listens on the port."""
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server has ended")


@contextmanager
def odd_http(port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run an odd server on a port; it listens when the context is entered."""
    command = [sys.executable, str(HERE / "odd_server.py"), "--http", str(port), *options]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            listening(process, port)
            yield process
        finally:
            process.kill()
