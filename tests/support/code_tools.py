"""A toolset in process for tests of code acts and votes: it counts what is called."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from boxwright.jsontypes import canonical
from boxwright.models import ToolDefinition
from boxwright_student import ToolOutcome


def tool(name: str, output: dict[str, Any] | None = None, /, **properties: dict[str, Any]) -> ToolDefinition:
    """Return a definition whose parameters without a default are required."""
    required = [key for key, schema in properties.items() if "default" not in schema]
    parameters = {"type": "object", "properties": properties, "required": required}
    return ToolDefinition(name=name, description=f"The tool {name}.", parameters=parameters, output_schema=output)


INTEGER = {"type": "integer"}
DEFINITIONS = (
    tool("double", INTEGER, number=INTEGER),
    tool("add", INTEGER, left=INTEGER, right={"type": "integer", "default": 1}),
    tool("say", None, text={"type": "string"}),
    tool("point", {"type": "object"}, x=INTEGER),
    tool("write-down", INTEGER, **{"the-text": {"type": "string"}}),
    tool("hang", INTEGER),
)


class CountingTools:
    """Tools that note every call; `write-down` alone changes something, and `hang` never returns."""

    definitions: Sequence[ToolDefinition] = DEFINITIONS
    digest = "counting"

    def __init__(self) -> None:
        self.calls: list[str] = []
        """Every call that was made, as canonical JSON."""
        self.hanging = 0
        """Calls of `hang` that are under way."""

    def news(self) -> list[str]:
        return []

    def read_only(self, name: str) -> bool:
        return name != "write-down"

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        self.calls.append(canonical([name, arguments]))
        await asyncio.sleep(0)
        match name:
            case "double" if not isinstance(arguments["number"], int) or arguments["number"] > 1000:
                return ToolOutcome(f"number must be at most 1000, got {arguments['number']!r}", failed=True)
            case "double":
                return _structured(2 * arguments["number"])
            case "add":
                return _structured(arguments["left"] + arguments.get("right", 1))
            case "point":
                return ToolOutcome("a point", value={"x": arguments["x"], "tags": ["a", None, 1.5]})
            case "write-down":
                return _structured(len(arguments["the-text"]))
            case "hang":
                return await self._hang()
        return ToolOutcome(f"said {arguments['text']}")

    async def _hang(self) -> ToolOutcome:
        self.hanging += 1
        never: asyncio.Future[ToolOutcome] = asyncio.get_running_loop().create_future()
        try:
            return await never
        finally:
            self.hanging -= 1


def _structured(value: int) -> ToolOutcome:
    return ToolOutcome(str(value), value=value)
