"""Tools with some of them hidden, on the student's side: what it would do without them, whatever the servers list."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from boxwright.jsontypes import digest
from boxwright.models import ToolDefinition
from boxwright_student.toolset import ToolOutcome, Toolset, unknown_tool


class Without:
    """A toolset as if it lacked some tools.

    Args:
        tools: The toolset.
        names: The tools that are hidden.
    """

    def __init__(self, tools: Toolset, names: Collection[str]) -> None:
        self._tools, self._names = tools, frozenset(names)
        self._of: Sequence[ToolDefinition] = ()
        self._left: Sequence[ToolDefinition] = ()

    @property
    def definitions(self) -> Sequence[ToolDefinition]:
        """See `Toolset.definitions`; the same list while the tools are, since the loop ranks anew what is another."""
        if self._of is not self._tools.definitions:
            self._of = self._tools.definitions
            self._left = [tool for tool in self._of if tool.name not in self._names]
        return self._left

    @property
    def digest(self) -> str:
        """See `Toolset.digest`; what is hidden tells these tools from the whole."""
        return digest([self._tools.digest, sorted(self._names)]) if self._names else self._tools.digest

    def news(self) -> list[str]:
        """See `Toolset.news`."""
        return self._tools.news()

    def read_only(self, name: str) -> bool:
        """See `Toolset.read_only`."""
        return name not in self._names and self._tools.read_only(name)

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        """See `Toolset.call`; a hidden tool is not there."""
        if name in self._names:
            return unknown_tool(name, [tool.name for tool in self.definitions])
        return await self._tools.call(name, arguments)
