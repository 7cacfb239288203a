"""A worker's cold start and warm calls, of a standard-library box and of one with sympy, on each sandbox here.

Run it with `python benchmarks/workers.py`. The sandboxes are each other's peers. What the box with sympy needs comes
from the package index; where that cannot be reached, the box is left out.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from boxwright.box import Release
from boxwright.box.requirements import REQUIREMENTS_FILE
from boxwright.errors import BoxwrightError
from boxwright.registry import Registry, open_registry, publish
from boxwright.sandbox import Sandbox, ToolRunner, choose_sandbox
from boxwright.sandbox.packages import pin
from boxwright.settings import Settings
from servers import machine

STARTS, CALLS = 15, 200
SYMPY = "sympy==1.14.0"
SOURCE = '''
"""Algebra."""
import sympy


def factor(expression: str) -> str:
    """Factor a polynomial.

    Args:
        expression: The polynomial, such as 'x**2 - 1'.
    """
    if "__" in expression:
        raise ValueError("expression must be a polynomial")
    return str(sympy.factor(expression))
'''
EXAMPLES = """\
{"tool": "factor", "arguments": {"expression": "x**2 - 1"}, "result": "(x - 1)*(x + 1)"}
{"tool": "factor", "arguments": {"expression": "x**2 + 2*x + 1"}, "result": "(x + 1)**2"}
{"tool": "factor", "arguments": {"expression": "__import__"}, "raises": "must be a polynomial"}
"""
MANIFEST = f"""\
format = 1
name = "algebra"
version = "1.0.0"
summary = "Factors polynomials"
description = "Factors polynomials."
license = "Apache-2.0"
dependencies = ["{SYMPY}"]

[limits]
memory_mb = 1024

[provenance]
method = "hand-written"
"""


async def sympy_box(folder: Path, registry: Registry, runner: ToolRunner) -> Release:
    """Publish a box that needs sympy."""
    folder.mkdir()
    (folder / "box.toml").write_text(MANIFEST)
    (folder / "tools.py").write_text(SOURCE)
    (folder / "examples.jsonl").write_text(EXAMPLES)
    (folder / "README.md").write_text("# algebra\n")
    (folder / REQUIREMENTS_FILE).write_text(await pin([SYMPY]))
    return await publish(folder, registry, runner)


async def milliseconds(action: Callable[[], Awaitable[Any]], times: int, gap: float = 0.0) -> list[float]:
    """Return the milliseconds of each time the action was done, `gap` seconds apart, in order."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        await action()
        taken.append((time.perf_counter() - started) * 1e3)
        await asyncio.sleep(gap)
    return sorted(taken)


async def measure(sandbox: Sandbox, release: Release, tool: str, arguments: dict[str, Any]) -> None:
    """Print the figures of one box on one sandbox."""

    async def start() -> None:
        await (await sandbox.start(release)).close()

    async with ToolRunner(sandbox) as runner:

        async def call() -> None:
            await runner.call(release, tool, arguments)

        first = (await milliseconds(call, 1))[0]
        cold = await milliseconds(start, STARTS)
        spaced = await milliseconds(call, CALLS, 0.02)
        close = await milliseconds(call, CALLS)
        print(
            f"{sandbox.name:11} {release.name:10} first call {first:6.0f} ms"
            f"  start and end {cold[0]:.0f} / {_p50(cold):.0f} ms"
            f"  warm, 20 ms apart {_p50(spaced):.2f} (p95 {spaced[int(CALLS * 0.95)]:.2f}) ms"
            f"  back to back {_p50(close):.2f} ms",
            flush=True,
        )
        if sandbox.name == "bubblewrap":
            for pid in _workers():
                os.kill(pid, signal.SIGKILL)
            print(
                f"{'':22} the call after all its processes were killed {(await milliseconds(call, 1))[0]:.0f} ms",
                flush=True,
            )


def _workers() -> list[int]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in children if b"bwrap" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def _p50(taken: list[float]) -> float:
    return statistics.median(taken)


async def main() -> None:
    """Measure every sandbox that works here."""
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for name in ("bubblewrap", "docker"):
            settings = Settings(home=Path(folder) / "home", sandbox=name, packages=("sympy", "mpmath"))
            try:
                sandbox = choose_sandbox(settings)
            except BoxwrightError as error:
                print(f"{name}: {error}")
                continue
            registry = open_registry(settings)
            days = registry.resolve("dates")
            await measure(sandbox, days, "days_between", {"start": "2001-09-11", "end": "2026-11-22"})
            async with ToolRunner(sandbox) as runner:
                try:
                    algebra = await sympy_box(Path(folder) / name, Registry(Path(folder) / f"registry-{name}"), runner)
                except BoxwrightError as error:
                    print(f"no box with sympy: {error}")
                    continue
            await measure(sandbox, algebra, "factor", {"expression": "x**4 - 1"})


if __name__ == "__main__":
    asyncio.run(main())
