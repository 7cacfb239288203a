"""What stands in for a listing that no small model could hold: `find_tools` and `call_tool`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Annotated, Any

from fastmcp.tools import Tool
from fastmcp.tools.base import ToolResult
from fastmcp.utilities.versions import VersionSpec
from mcp_types import ToolAnnotations
from pydantic import Field

from boxwright.errors import ArgumentsInvalid, BoxwrightError, ToolUnknown
from boxwright.registry.catalogue import Catalogue
from boxwright_server.audit import asked
from boxwright_server.caller import pin, wanted_version
from boxwright_server.errors import to_mcp_error
from boxwright_server.provider import RegistryProvider, box_of

MOST_FOUND = 20
_HINTS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)


def search_tools(provider: RegistryProvider, catalogue: Catalogue) -> Sequence[Tool]:
    """Return the two tools, over what the provider serves."""
    searching = ThreadPoolExecutor(1, "boxwright-search")  # of its own: others must not wait for a locked index

    async def find_tools(
        query: Annotated[str, Field(description="What the tool should do, in a few words.")],
        limit: Annotated[int, Field(description="How many tools to show.", ge=1, le=MOST_FOUND)] = 5,
    ) -> ToolResult:
        """Find tools by what they do. Each comes with the name, schema and version that call_tool takes."""
        found: list[dict[str, Any]] = []
        most, names = limit, [""] * limit
        while len(found) < limit and len(names) >= most:  # some of what is there may not be for this caller
            most *= 10
            names = await asyncio.get_running_loop().run_in_executor(searching, _search, catalogue, query, most)
            served = (_served(provider, name) for name in names)
            found = list(islice((tool.shown() for tool in served if tool is not None), limit))
        content = json.dumps(found, ensure_ascii=False) if found else "No tool fits; try other words."
        return ToolResult(content=content, structured_content={"tools": found})

    async def call_tool(
        name: Annotated[str, Field(description="The tool's name, as find_tools gives it.")],
        arguments: Annotated[
            dict[str, Any] | str, Field(description="The tool's arguments, as its input_schema says.")
        ] = {},  # noqa: B006  # read only
        version: Annotated[str | None, Field(description="An exact version; the newest where it is left out.")] = None,
    ) -> ToolResult:
        """Call a tool that find_tools found, and return its result."""
        try:
            asked(name)
            wanted = wanted_version() if version is None else VersionSpec(eq=version)
            tool = provider.find(name, wanted, pin(box_of(name)))
            if tool is None:
                raise ToolUnknown(provider.why_unknown(name))
            return await tool.run(_object(arguments))
        except BoxwrightError as error:
            raise to_mcp_error(error) from error

    return [Tool.from_function(one, annotations=_HINTS, output_schema=None) for one in (find_tools, call_tool)]


def _search(catalogue: Catalogue, query: str, limit: int) -> list[str]:
    catalogue.update()
    return catalogue.search(query, limit)


def _served(provider: RegistryProvider, name: str) -> Any:
    try:
        return provider.find(name)
    except BoxwrightError:
        return None  # a box that cannot be read is not shown


def _object(arguments: dict[str, Any] | str) -> dict[str, Any]:
    """Return the arguments as an object; small models write them as text."""
    if isinstance(arguments, dict):
        return arguments
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError) as error:
        raise ArgumentsInvalid(f"arguments is text that is no JSON ({error}); pass an object") from error
    if not isinstance(parsed, dict):
        raise ArgumentsInvalid(f"arguments is {arguments[:60]!r}; pass an object")
    return parsed
