"""What the agent loop needs of tools, whatever stands behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from boxwright.errors import ToolUnknown, did_you_mean, near_misses
from boxwright.models import ToolDefinition


@dataclass(frozen=True)
class ToolOutcome:
    """What came of a tool call."""

    text: str
    """The result as the model reads it."""
    failed: bool = False
    value: Any = None
    """The structured result, where the tool gave one."""


class Toolset(Protocol):
    """Tools that an agent may call."""

    @property
    def definitions(self) -> Sequence[ToolDefinition]:
        """The tools, as a model is shown them."""

    @property
    def digest(self) -> str:
        """What tells these tools from others: attempts with another toolset are other attempts."""

    def news(self) -> list[str]:
        """Return what changed among the tools since this was last asked, a line each."""

    def read_only(self, name: str) -> bool:
        """Whether a server that the user trusts says of this tool that calling it changes nothing."""

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        """Call a tool. What the model can mend comes back as a failed outcome, not as an exception.

        Raises:
            CallerMustHandle: The tools cannot be reached at all.
        """


class NoTools:
    """The empty toolset: the model is on its own."""

    definitions: Sequence[ToolDefinition] = ()
    digest = ""

    def news(self) -> list[str]:
        """Nothing changes."""
        return []

    def read_only(self, name: str) -> bool:
        """There is none."""
        return False

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        """Refuse: there is nothing to call."""
        return unknown_tool(name, ())


def unknown_tool(name: str, known: Sequence[str]) -> ToolOutcome:
    """Return the outcome of calling a tool that is not there, with the near misses."""
    listed = ", ".join(known) or "none"
    near = did_you_mean(near_misses(name, known))
    return ToolOutcome(str(ToolUnknown(f"there is no tool {name!r}; the tools are: {listed}{near}")), failed=True)
