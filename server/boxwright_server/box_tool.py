"""A tool of a release as FastMCP serves it: schemas from what the build recorded, the call in the sandbox."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastmcp.server.dependencies import get_context
from fastmcp.tools import Tool
from fastmcp.tools.base import ToolResult
from mcp_types import ToolAnnotations
from pydantic import PrivateAttr

from boxwright.box import Release, ToolSpec
from boxwright.errors import BoxwrightError
from boxwright.jsontypes import canonical
from boxwright.registry.lock import because
from boxwright.sandbox import ToolRunner
from boxwright_server.audit import noting
from boxwright_server.caller import OURS, wants_progress
from boxwright_server.errors import to_mcp_error

WRAPPED = "x-fastmcp-wrap-result"
"""FastMCP's mark on an output schema whose object was put around a plain value; its clients take it off again."""
PROGRESS_SECONDS = 1.0


class BoxTool(Tool):
    """A tool of a release, run in the sandbox."""

    _release: Release = PrivateAttr()
    _runner: ToolRunner = PrivateAttr()
    _spec: ToolSpec = PrivateAttr()

    @classmethod
    def of(cls, release: Release, spec: ToolSpec, runner: ToolRunner) -> BoxTool:
        """Return the tool as FastMCP serves it, from what the build recorded."""
        about = {"box": release.name, "version": release.version, "digest": release.digest}
        if release.lifecycle != "active":
            about["lifecycle"] = release.lifecycle
        tool = cls(
            name=release.served(spec),
            version=release.version,
            description=_warning(release) + spec.description,
            parameters=spec.input_schema,
            output_schema=_object_schema(spec.output_schema),
            annotations=ToolAnnotations.model_validate(spec.annotations),
            tags=set(release.manifest.keywords),
            meta={OURS: about},
        )
        tool._release, tool._runner, tool._spec = release, runner, spec
        return tool

    @property
    def tokens(self) -> int:
        """About how many tokens of a model's context the tool's definition takes: a fourth of its characters."""
        return (len(self.name) + len(self.description or "") + len(canonical(self.parameters))) // 4

    def shown(self) -> dict[str, Any]:
        """Return the tool as `find_tools` shows it."""
        return {
            "name": self.name,
            "version": self._release.version,
            "digest": self._release.digest,
            "description": self.description,
            "input_schema": self.parameters,
            "output_schema": self._spec.output_schema,
            "annotations": self._spec.annotations,
        }

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Call the tool; FastMCP validates nothing for tools of this kind, the runner does."""
        with noting(self._release, self._spec.name, self._runner.sandbox.name):
            try:
                async with _progress(self._release.manifest.limits.seconds):
                    result = await self._runner.call(self._release, self._spec.name, arguments)
            except BoxwrightError as error:
                raise to_mcp_error(error) from error
        content = result if isinstance(result, str) else canonical(result)
        structured = result if _is_object(self._spec.output_schema) else {"result": result}
        return ToolResult(content=content, structured_content=structured)


@asynccontextmanager
async def _progress(limit: float) -> AsyncIterator[None]:
    """Tell a caller who asked for it every second how long the call has run, of the seconds it may."""
    if not wants_progress():
        yield
        return
    context, started = get_context(), time.monotonic()

    async def tell() -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            await context.report_progress(time.monotonic() - started, limit, "the tool is running")

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _warning(release: Release) -> str:
    return f"Deprecated{because(release)}. " if release.lifecycle == "deprecated" else ""


def _is_object(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "object"


def _object_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an output schema as MCP wants it: of an object, which a plain value is put into."""
    if _is_object(schema):
        return schema
    return {"type": "object", "properties": {"result": schema}, "required": ["result"], WRAPPED: True}
