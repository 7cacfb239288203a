"""32 clients at once over HTTP: calls a second of a sandboxed box beside a plain FastMCP tool of that function.

Run it with `python benchmarks/throughput.py`. The two are loaded in turn, in short rounds, so that the machine's drift
hits both. Every answer is checked against the puzzle it was asked for.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

from fastmcp import Client

from boxwright.tasks import load_suite, score
from servers import box_server, machine, plain_server

CLIENTS, ROUND_SECONDS, ROUNDS = 32, 8.0, 3


async def load(address: str, tool: str, mode: str) -> float:
    """Return the calls a second that all clients together got answered, each answer right."""
    tasks = load_suite("game24").tasks
    done = 0

    async def one(client: Client[Any], first: int, until: float) -> None:
        nonlocal done
        number = first
        while time.perf_counter() < until:
            task = tasks[number % len(tasks)]
            result = await client.call_tool(tool, {"numbers": list(task.numbers)})
            assert score(task, result.data).right, (task, result.data)
            done, number = done + 1, number + CLIENTS

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(address, mode=mode)) for _ in range(CLIENTS)]
        await asyncio.gather(*(client.list_tools() for client in clients))
        started = time.perf_counter()
        await asyncio.gather(*(one(client, n, started + ROUND_SECONDS) for n, client in enumerate(clients)))
        return done / (time.perf_counter() - started)


async def main() -> None:
    """Load both in turn, in each era of the protocol."""
    print(machine(), f"{CLIENTS} clients", flush=True)
    options = sys.argv[1:]
    with box_server(*options) as (ours, _):
        async with plain_server() as theirs:
            for mode in ("auto", "legacy"):
                boxes, plain = [], []
                for _ in range(ROUNDS):
                    plain.append(await load(theirs, "solve", mode))
                    boxes.append(await load(ours, "game_of_24__solve", mode))
                ratio = statistics.median(boxes) / statistics.median(plain)
                shown = " ".join(f"{one:.0f}" for one in boxes), " ".join(f"{one:.0f}" for one in plain)
                print(f"{mode:7} box {shown[0]}/s  plain {shown[1]}/s  ratio of medians {ratio:.2f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
