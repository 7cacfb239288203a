"""Ten minutes at 50 calls a second over HTTP while workers are killed: are answers lost or crossed, does anything leak?

Run it with `python benchmarks/soak.py [MINUTES]`. Every call has arguments of its own, and its answer is checked. Each
second a process of a random worker is killed. Memory, processes and descriptors of the server are printed as it goes.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from fastmcp import Client

from boxwright.sandbox.proc import processes
from boxwright.tasks import load_suite, score
from servers import box_server, machine

RATE, CLIENTS = 50, 10


class Load:
    """Calls, and what came of them."""

    def __init__(self, client: Client[Any]) -> None:
        self.client = client
        self.outcomes: Counter[str] = Counter()
        self.seconds: list[float] = []

    async def call(self, number: int) -> None:
        """Make one call and count what came of it: right, or what else."""
        started = time.perf_counter()
        try:
            if number % 2:
                task = load_suite("game24").tasks[number % 1362]
                result = await self.client.call_tool("game_of_24__solve", {"numbers": list(task.numbers)})
                right = score(task, result.data).right
            else:
                arguments = {"expression": f"{number} * 7 + 1"}
                result = await self.client.call_tool("calculator__evaluate", arguments)
                right = result.structured_content is not None and result.structured_content["exact"] == str(
                    number * 7 + 1
                )
            self.outcomes["right" if right else "CROSSED OR WRONG"] += 1
        except Exception as error:
            self.outcomes[f"{type(error).__name__}: {str(error)[:100]}"] += 1
        self.seconds.append(time.perf_counter() - started)


def state(server: int) -> dict[str, int]:
    """Return the server's resident kilobytes and descriptors, and the processes below it."""
    seen = processes()
    tree = seen.tree(server)
    return {
        "server_kb": seen.resident[server] >> 10,
        "descriptors": len(list(Path(f"/proc/{server}/fd").iterdir())),
        "processes": len(tree),
    }


async def kill_workers(server: int, until: float) -> int:
    """Kill a random process below the server every second; returns how many."""
    killed = 0
    while time.monotonic() < until:
        await asyncio.sleep(1)
        below = sorted(processes().tree(server) - {server})
        if below:
            with suppress(ProcessLookupError):
                os.kill(random.choice(below), signal.SIGKILL)
                killed += 1
    return killed


async def main() -> None:
    """Load the server and watch it."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    print(machine(), f"{minutes:g} minutes at {RATE} calls a second", flush=True)
    async with AsyncExitStack() as stack:
        address, server = stack.enter_context(box_server())
        loads = [Load(await stack.enter_async_context(Client(address))) for _ in range(CLIENTS)]
        until = time.monotonic() + 60 * minutes
        killing = asyncio.create_task(kill_workers(server, until))
        number, calls, shown, due = 0, set(), 0.0, time.monotonic()
        while (now := time.monotonic()) < until:
            calls.add(task := asyncio.create_task(loads[number % CLIENTS].call(number)))
            task.add_done_callback(calls.discard)
            number += 1
            if now - shown > 30:
                shown = now
                print(f"{number:7} calls", state(server), f"{len(calls)} under way", flush=True)
            due += 1 / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*calls)
        print(f"{number:7} calls", state(server), f"killed {await killing} processes", flush=True)
        outcomes = sum((load.outcomes for load in loads), Counter())
        seconds = sorted(second for load in loads for second in load.seconds)
        print(
            dict(outcomes),
            f"p50 {seconds[len(seconds) // 2] * 1e3:.1f} ms, p99 {seconds[int(len(seconds) * 0.99)] * 1e3:.0f} ms",
        )


if __name__ == "__main__":
    asyncio.run(main())
