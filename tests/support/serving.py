"""The server as a process of its own, over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@dataclass(frozen=True)
class Serving:
    """A running server."""

    url: str
    process: subprocess.Popen[str]

    @property
    def health(self) -> str:
        """The address of its health."""
        return self.url.removesuffix("/mcp") + "/health"


@contextmanager
def serving(*options: str, **environment: str) -> Iterator[Serving]:
    """Run `boxwright serve --http` on a free port; keyword arguments are variables without their prefix."""
    command = [sys.executable, "-m", "boxwright", "serve", "--http", "--port", "0", *options]
    variables = {f"BOXWRIGHT_{key.upper()}": value for key, value in environment.items()}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables})
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stderr.read()
        yield Serving(found[0], process)
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stderr.close()
