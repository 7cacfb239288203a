"""Tools of MCP servers, ours or any: the student's only way to a box."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, CallToolResult, Tool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boxwright.errors import BadInput, CallerMustHandle
from boxwright.jsontypes import digest
from boxwright.models import ToolDefinition
from boxwright_student.toolset import ToolOutcome

START_SECONDS = 60.0
"""How long a server may take to start and list its tools."""
CALL_SECONDS = 660.0
"""A little more than the longest limit a box may have."""


class ServerEntry(BaseModel):
    """One server of an `mcp.json`: a command over stdio, or an address over HTTP."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    command: str | None = None
    args: list[str] = Field(default_factory=list)
    env: dict[str, str] | None = None
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)


def box_server(*arguments: str) -> ServerEntry:
    """Return the entry of our own box server, with the settings of this process."""
    environment = {key: value for key, value in os.environ.items() if key.startswith("BOXWRIGHT_")}
    return ServerEntry(
        command=sys.executable, args=["-P", "-m", "boxwright_server", "--stdio", *arguments], env=environment
    )


def read_mcp_json(path: Path) -> dict[str, ServerEntry]:
    """Return the servers of an `mcp.json`, as Claude Desktop and others write it.

    Raises:
        BadInput: It cannot be read, or names no server that can be started or reached.
    """
    try:
        servers = json.loads(path.read_text(encoding="utf-8"))["mcpServers"]
        entries = {name: ServerEntry.model_validate(entry) for name, entry in servers.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise BadInput(
            f"{path} is no mcp.json ({type(error).__name__}: {error}); "
            'it holds {"mcpServers": {"name": {"command": …} or {"url": …}}}'
        ) from error
    for name, entry in entries.items():
        if (entry.command is None) == (entry.url is None):
            raise BadInput(f"{path}: server {name!r} needs either a command or a url")
    return entries


class McpTools:
    """The tools of connected servers. A name that two servers give gets the server's name in front."""

    def __init__(
        self, clients: dict[str, Client], definitions: dict[str, tuple[str, ToolDefinition]], digest: str
    ) -> None:
        self._clients, self._definitions = clients, definitions
        self.digest = digest
        """Over the tools as their servers list them, releases and all."""

    @property
    def definitions(self) -> Sequence[ToolDefinition]:
        """See `Toolset.definitions`."""
        return [
            definition if shown == definition.name else definition.model_copy(update={"name": shown})
            for shown, (_, definition) in self._definitions.items()
        ]

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        """See `Toolset.call`."""
        server, definition = self._definitions[name]
        try:
            result = await self._clients[server].call_tool(definition.name, arguments)
        except (httpx2.HTTPError, OSError) as error:
            raise CallerMustHandle(f"the MCP server {server!r} is gone: {error or type(error).__name__}") from error
        except (MCPError, RuntimeError) as error:  # RuntimeError: a result that breaks the tool's own schema
            if isinstance(error, MCPError) and error.code == CONNECTION_CLOSED:
                raise CallerMustHandle(f"the MCP server {server!r} is gone: {error}") from error
            return ToolOutcome(f"the server refused the call: {error}", failed=True)
        return ToolOutcome(_text(result), failed=bool(result.is_error))


@asynccontextmanager
async def connect(servers: dict[str, ServerEntry]) -> AsyncIterator[McpTools]:
    """Connect to the servers, list their tools, and disconnect when the context ends.

    Raises:
        CallerMustHandle: A server cannot be started or reached.
    """
    try:
        async with AsyncExitStack() as stack:
            clients: dict[str, Client] = {}
            definitions: dict[str, tuple[str, ToolDefinition]] = {}
            identity: list[object] = []
            for name, entry in servers.items():
                clients[name], listed = await _enter(stack, name, entry)
                for tool in listed:
                    shown = tool.name if tool.name not in definitions else f"{name}__{tool.name}"
                    definitions[shown] = (name, _definition(tool))
                    identity.append([shown, tool.description, tool.input_schema, (tool.meta or {}).get("boxwright")])
            if not definitions:
                raise CallerMustHandle(f"the MCP servers list no tool: {', '.join(servers)}; see what they log")
            yield McpTools(clients, definitions, digest(identity))
    except ExceptionGroup as group:  # the clients' task groups wrap whatever is raised while they are open
        error = _root(group)
        raise (error if isinstance(error, Exception) else group) from group


async def _enter(stack: AsyncExitStack, name: str, entry: ServerEntry) -> tuple[Client, list[Tool]]:
    try:
        async with asyncio.timeout(START_SECONDS):
            client = await stack.enter_async_context(_client(entry))
            return client, await _list_all(client)
    except (OSError, MCPError, ExceptionGroup) as error:
        what = entry.url or " ".join([str(entry.command), *entry.args])
        why = _root(error)
        said = f"no answer within {START_SECONDS:g} seconds" if isinstance(why, TimeoutError) else why
        raise CallerMustHandle(f"cannot reach the MCP server {name!r} ({what}): {said}") from error


def _client(entry: ServerEntry) -> Client:
    if entry.url is not None:
        http = create_mcp_http_client(headers=entry.headers)
        return Client(streamable_http_client(entry.url, http_client=http), read_timeout_seconds=CALL_SECONDS)
    assert entry.command is not None
    parameters = StdioServerParameters(command=entry.command, args=entry.args, env=entry.env, cwd=entry.cwd)
    return Client(parameters, read_timeout_seconds=CALL_SECONDS)


async def _list_all(client: Client) -> list[Tool]:
    found: list[Tool] = []
    cursor: str | None = None
    while True:
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if not cursor:
            return found


def _text(result: CallToolResult) -> str:
    texts = [block.text for block in result.content if block.type == "text"]
    if texts:
        return "\n".join(texts)
    return json.dumps(result.structured_content) if result.structured_content else "(no text)"


def _definition(tool: Tool) -> ToolDefinition:
    return ToolDefinition(name=tool.name, description=tool.description or "", parameters=tool.input_schema)


def _root(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
