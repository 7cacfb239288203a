"""Our agent, as `agents.py` measures it."""

from __future__ import annotations

from by_hand import QUESTION, main, measure

from boxwright.models import load_model
from boxwright.settings import Settings
from boxwright_student import Agent, Bounds, connect
from boxwright_student.mcp_tools import ServerEntry


async def run(steps: int, runs: int, url: str, server: list[str]) -> None:
    """Measure."""
    model = load_model(f"openai/m@{url}", Settings())
    async with connect({"plain": ServerEntry(command=server[0], args=server[1:])}) as tools:
        agent = Agent(model, tools, bounds=Bounds(steps=steps + 1, tokens=10**9))

        async def conversation() -> str:
            return (await agent.run(QUESTION)).answer or ""

        await measure(conversation, steps, runs, url, server)


main(run)
