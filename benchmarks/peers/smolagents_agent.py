"""smolagents' ToolCallingAgent, as `agents.py` measures it; runs in an environment of its own, with mcp 1."""

from __future__ import annotations

import asyncio

from by_hand import QUESTION, main, measure
from mcp import StdioServerParameters
from smolagents import LogLevel, MCPClient, OpenAIServerModel, ToolCallingAgent


async def run(steps: int, runs: int, url: str, server: list[str]) -> None:
    """Measure."""
    parameters = StdioServerParameters(command=server[0], args=server[1:])
    with MCPClient(parameters, structured_output=False) as tools:
        model = OpenAIServerModel("m", api_base=url, api_key="none")
        agent = ToolCallingAgent(tools=tools, model=model, max_steps=steps + 2, verbosity_level=LogLevel.OFF)

        async def conversation() -> str:
            return str(await asyncio.to_thread(agent.run, QUESTION))

        await measure(conversation, steps, runs, url, server)


main(run)
