"""Tools of MCP servers, ours or any: the student's only way to a box."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import Tool

from boxwright.errors import ToolsUnreachable
from boxwright.jsontypes import digest
from boxwright.models import ToolDefinition
from boxwright_student.servers.connection import Connection
from boxwright_student.servers.entries import ServerEntry, box_server, read_mcp_json
from boxwright_student.servers.errors import CallLost, in_a_line
from boxwright_student.servers.names import shown_names
from boxwright_student.servers.results import bounded, output_schema, read_result
from boxwright_student.toolset import ToolOutcome, unknown_tool

__all__ = ["McpTools", "ServerEntry", "ToolsUnreachable", "box_server", "connect", "read_mcp_json"]

_LONGEST_ERROR = 2000


class McpTools:
    """The tools of connected servers, under names that are unique and that every model's API takes."""

    def __init__(self, servers: dict[str, ServerEntry]) -> None:
        self._connections = {name: Connection(name, entry, self._changed) for name, entry in servers.items()}
        self._tools: dict[str, tuple[Connection, Tool]] = {}
        self._definitions: list[ToolDefinition] = []
        self._news: list[str] = []
        self.digest = ""
        """Over the tools as their servers list them, releases and all."""

    async def open(self) -> None:
        """Start or reach all servers at once.

        Raises:
            ToolsUnreachable: One or more cannot be, or there is no tool at all.
        """
        opened = [connection.open() for connection in self._connections.values()]
        failed = [error for error in await asyncio.gather(*opened, return_exceptions=True) if error is not None]
        if failed:
            unexpected = [error for error in failed if not isinstance(error, ToolsUnreachable)]
            raise unexpected[0] if unexpected else ToolsUnreachable("\n".join(map(str, failed)))
        self._arrange()
        if not self._tools:
            raise ToolsUnreachable(f"the MCP servers list no tool: {', '.join(self._connections)}; see what they log")

    async def close(self) -> None:
        """Let all servers go."""
        await asyncio.gather(*(connection.close() for connection in self._connections.values()))

    @property
    def definitions(self) -> Sequence[ToolDefinition]:
        """See `Toolset.definitions`; they change when a server says that its tools have."""
        return self._definitions

    def read_only(self, name: str) -> bool:
        """See `Toolset.read_only`."""
        if name not in self._tools:
            return False
        connection, tool = self._tools[name]
        return connection.entry.trusted and tool.annotations is not None and tool.annotations.read_only_hint is True

    def news(self) -> list[str]:
        """Return, once, what changed among the tools since this was last asked."""
        told, self._news = self._news, []
        return told

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        """See `Toolset.call`."""
        if name not in self._tools:
            return unknown_tool(name, list(self._tools))
        connection, tool = self._tools[name]
        try:
            outcome = read_result(await connection.call(tool, arguments), tool)
        except CallLost as error:
            why = f" ({in_a_line(error.__cause__)})" if error.__cause__ is not None else ""
            outcome = _failed(f"the server ended during the call{why}; it may or may not have been done")
        except MCPError as error:
            outcome = _failed(f"the server refused the call: {in_a_line(error)}")
        except (RuntimeError, ValueError) as error:
            outcome = _failed(f"the tool's result breaks its own schema: {in_a_line(error)}")
        await connection.settled()
        return outcome

    def _changed(self, connection: Connection) -> None:
        before = {tool.name: tool for at, tool in self._tools.values() if at is connection}
        after = {tool.name: tool for tool in connection.tools}
        changes = {
            "new": after.keys() - before.keys(),
            "gone": before.keys() - after.keys(),
            "changed": {name for name in after.keys() & before.keys() if after[name] != before[name]},
        }
        told = "; ".join(f"{kind}: {', '.join(sorted(names))}" for kind, names in changes.items() if names)
        if told:
            self._news.append(f"the tools of {connection.name!r} have changed; {told}")
        self._arrange()

    def _arrange(self) -> None:
        listed = {
            name: {tool.name: tool for tool in connection.tools} for name, connection in self._connections.items()
        }
        names = shown_names({server: list(tools) for server, tools in listed.items()})
        self._tools = {
            shown: (self._connections[server], listed[server][name]) for shown, (server, name) in names.items()
        }
        self._definitions = [_definition(shown, tool) for shown, (_, tool) in self._tools.items()]
        self.digest = digest(
            [
                [shown, tool.description, tool.input_schema, (tool.meta or {}).get("boxwright")]
                for shown, (_, tool) in self._tools.items()
            ]
        )


@asynccontextmanager
async def connect(servers: dict[str, ServerEntry]) -> AsyncIterator[McpTools]:
    """Connect to the servers, list their tools, and disconnect when the context ends.

    Raises:
        ToolsUnreachable: A server cannot be started or reached, or none lists a tool.
    """
    tools = McpTools(servers)
    try:
        await tools.open()
        yield tools
    finally:
        await tools.close()


def _failed(text: str) -> ToolOutcome:
    return ToolOutcome(bounded(text, _LONGEST_ERROR), failed=True)


def _definition(shown: str, tool: Tool) -> ToolDefinition:
    return ToolDefinition(
        name=shown,
        description=tool.description or "",
        parameters=tool.input_schema,
        output_schema=output_schema(tool),
    )
