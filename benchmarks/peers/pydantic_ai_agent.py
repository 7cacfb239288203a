"""pydantic-ai's agent, as `agents.py` measures it; runs in an environment of its own."""

from __future__ import annotations

from by_hand import QUESTION, main, measure
from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent, UsageLimits
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


async def run(steps: int, runs: int, url: str, server: list[str]) -> None:
    """Measure."""
    tools = MCPToolset(StdioTransport(server[0], server[1:]))
    model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=url, api_key="none"))
    agent = Agent(model, toolsets=[tools])
    async with agent:

        async def conversation() -> str:
            limits = UsageLimits(request_limit=steps + 1)
            return (await agent.run(QUESTION, usage_limits=limits)).output

        await measure(conversation, steps, runs, url, server)


main(run)
