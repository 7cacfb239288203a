"""What a start of `boxwright ask` costs: processor time until its first request leaves, beside its clients' imports.

`python benchmarks/ask_start.py [--runs N] [--client ollama|openai]`. The time is that of the process itself, user and
system, read from /proc when the request arrives at an endpoint here; its box server is another process and stands
beside it. The bare imports are run in turn with it, on the same machine at the same time. Linux only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MOST = 1.2
"""The ratio that the start is to stay below."""
BARE = "from mcp import Client; import {client}"
URIS = {"ollama": "ollama/qwen3:8b", "openai": "openai/m@{url}/v1"}
TICK = os.sysconf("SC_CLK_TCK")


@contextmanager
def endpoint() -> Iterator[tuple[str, threading.Event]]:
    """Serve an endpoint that takes a request, says so, and holds it until the context ends."""
    came, over = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

        def handle_one_request(self) -> None:
            came.set()
            over.wait()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", came
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def processor_seconds(pid: int) -> float:
    """Return what a living process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [one for child in found for one in (child, *children(child))]


def start(client: str) -> tuple[float, float]:
    """Run `boxwright ask` until its first request: its processor seconds, and those of its servers."""
    with endpoint() as (url, came), tempfile.TemporaryDirectory() as home:
        uri = URIS[client].format(url=url)
        environment = {**os.environ, "BOXWRIGHT_HOME": home, "BOXWRIGHT_OLLAMA_URL": url}
        command = [sys.executable, "-m", "boxwright", "ask", "How many days are there in a leap year?", "--model", uri]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            while not came.wait(0.05):
                if process.poll() is not None:
                    raise SystemExit(f"boxwright ask ended: {process.communicate()[1].decode()}")
            own = processor_seconds(process.pid)
            return own, sum(processor_seconds(child) for child in children(process.pid))
        finally:
            process.terminate()
            process.communicate()


def bare(client: str) -> float:
    """Import the clients and nothing else: its processor seconds."""
    before = os.times()
    subprocess.run([sys.executable, "-c", BARE.format(client=client)], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--client", choices=list(URIS), default="ollama")
    options = parser.parse_args()
    start(options.client), bare(options.client)  # so that all bytecode is written
    pairs = [(bare(options.client), *start(options.client)) for _ in range(options.runs)]
    imports, own, servers = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(one[1] / one[0] for one in pairs)
    print(f"processor seconds, medians of {options.runs} runs in turn")
    print(f"bare imports (mcp, {options.client})   {imports:.2f}")
    print(f"boxwright ask, until the request {own:.2f}   {ratio:.2f} times as much (to stay below {MOST})")
    print(f"its box server, another process  {servers:.2f}")
    sys.exit(ratio > MOST)


if __name__ == "__main__":
    main()
