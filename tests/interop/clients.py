"""How the tests run other people's clients, and the servers that those talk to."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CACHE = Path(
    os.environ.get("BOXWRIGHT_INTEROP")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "boxwright-interop"
)
"""As in `tools/interop.sh`."""
STDIO = [sys.executable, "-m", "boxwright_server", "--stdio"]
"""The command that serves boxes over stdio."""


@dataclass(frozen=True)
class Node:
    """Node and the packages of `package.json`, as `tools/interop.sh` installed them."""

    folder: Path

    def package(self, script: str, *arguments: str) -> list[str]:
        """Return the command that runs a script of an installed package."""
        return [self._program, str(self.folder / "node_modules/@modelcontextprotocol" / script), *arguments]

    def own(self, script: str, *arguments: str) -> list[str]:
        """Return the command that runs a script beside the tests; from `folder`, where its imports are found."""
        text = (HERE / script).read_text(encoding="utf-8")
        return [self._program, "--input-type=module", "--eval", text, "--", *arguments]

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            command, capture_output=True, text=True, timeout=100, cwd=self.folder, env=self.environment
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which npm's programs find this Node, not an older one, and write nothing to the user's home."""
        path = f"{self.folder / 'node/bin'}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "HOME": str(self.folder)}

    @property
    def _program(self) -> str:
        return str(self.folder / "node/bin/node")


@contextmanager
def serving(*command: str) -> Iterator[str]:
    """Run a Python module as a server that prints its address on stderr, and yield that address."""
    process = subprocess.Popen([sys.executable, "-m", *command], stderr=subprocess.PIPE, text=True, cwd=HERE.parent)
    assert process.stderr is not None
    reader: threading.Thread | None = None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stderr.read()
        reader = threading.Thread(target=process.stderr.read)  # a full pipe would stop the server
        reader.start()
        yield found[0]
    finally:
        process.terminate()
        process.wait(timeout=20)
        if reader:
            reader.join()
        process.stderr.close()


class Steps:
    """What a script says as it goes: JSON lines of a step's name and its value."""

    def __init__(self, stdout: asyncio.StreamReader) -> None:
        self._stdout = stdout

    async def next(self, step: str) -> Any:
        """Return the value of the next step, which has to be the one named."""
        line = await asyncio.wait_for(self._stdout.readline(), 20)
        name, value = json.loads(line or '["the end", null]')
        assert name == step, f"{step} was awaited, {line!r} came"
        return value


@asynccontextmanager
async def running(node: Node, command: list[str]) -> AsyncIterator[Steps]:
    """Run a script beside the tests, which ends when its stdin does."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, cwd=node.folder, env=node.environment
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Steps(process.stdout)
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def boxwright(*arguments: str) -> None:
    """Run a command of the product."""
    subprocess.run([sys.executable, "-m", "boxwright", *arguments], check=True, capture_output=True, timeout=60)
