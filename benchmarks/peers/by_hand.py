"""The floor of `agents.py`: the same requests and calls as the agents make, written by hand with httpx and the MCP SDK.

Imported by each peer, so that the floor is measured in the peer's own environment and process, in turn with it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

try:
    import httpx2 as httpx
except ModuleNotFoundError:  # beside mcp 1
    import httpx  # type: ignore[no-redef]
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

QUESTION = "Add one, again and again."
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two integers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}


@asynccontextmanager
async def floor(url: str, server: list[str]) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Connect, and give a function that goes through one conversation."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient())
        streams = await stack.enter_async_context(
            stdio_client(StdioServerParameters(command=server[0], args=server[1:]))
        )
        session = await stack.enter_async_context(ClientSession(*streams))
        await session.initialize()
        await session.list_tools()

        async def conversation() -> str:
            messages: list[dict[str, Any]] = [{"role": "user", "content": QUESTION}]
            while True:
                body = {"model": "m", "messages": messages, "tools": [TOOL]}
                answer = (await http.post(f"{url}/chat/completions", json=body)).json()["choices"][0]["message"]
                messages.append(answer)
                if not answer.get("tool_calls"):
                    return str(answer["content"])
                for call in answer["tool_calls"]:
                    function = call["function"]
                    result = await session.call_tool(function["name"], json.loads(function["arguments"]))
                    text = "".join(block.text for block in result.content if block.type == "text")
                    messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})

        yield conversation


async def measure(agent: Callable[[], Awaitable[str]], steps: int, runs: int, url: str, server: list[str]) -> None:
    """Run agent and floor in turn, check every answer, and print the seconds per step of both and the memory."""
    seconds: dict[str, list[float]] = {"agent": [], "floor": []}
    processor: dict[str, list[float]] = {"agent": [], "floor": []}
    async with floor(url, server) as by_hand:
        for run in range(runs + 1):
            for name, one in (("agent", agent), ("floor", by_hand)):
                gc.collect()
                started, used = time.perf_counter(), time.process_time()
                answer = await one()
                if answer != str(steps):
                    raise SystemExit(f"{name} answered {answer!r} instead of {steps}")
                if run:  # the first one warms up
                    seconds[name].append((time.perf_counter() - started) / (steps + 1))
                    processor[name].append((time.process_time() - used) / (steps + 1))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    json.dump({"seconds": seconds, "processor": processor, "memory_mb": memory}, sys.stdout)


def main(run: Callable[[int, int, str, list[str]], Coroutine[Any, Any, None]]) -> None:
    """Read the arguments that `agents.py` gives: steps, runs, the endpoint's address, the MCP server's command."""
    steps, runs, url, *server = sys.argv[1:]
    asyncio.run(run(int(steps), int(runs), url, server))
