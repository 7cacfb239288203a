"""One lazy provider over the whole registry: tools come from `tools.json` when asked for.

A FastMCP server mounted per box would make a call through 200 of them six times as slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmcp.server.providers import Provider
from fastmcp.tools import Tool
from fastmcp.tools.base import ToolResult
from fastmcp.utilities.versions import VersionSpec
from mcp_types import ToolAnnotations
from pydantic import PrivateAttr

from boxwright.box import Release, ToolSpec
from boxwright.errors import BoxwrightError, did_you_mean, near_misses
from boxwright.jsontypes import canonical
from boxwright.registry import Registry
from boxwright.sandbox import ToolRunner
from boxwright_server.errors import to_mcp_error

WRAPPED = "x-fastmcp-wrap-result"
"""FastMCP's mark on an output schema whose object was put around a plain value; its clients take it off again."""


class BoxTool(Tool):
    """A tool of a release, run in the sandbox."""

    _release: Release = PrivateAttr()
    _runner: ToolRunner = PrivateAttr()
    _spec: ToolSpec = PrivateAttr()

    @classmethod
    def of(cls, release: Release, spec: ToolSpec, runner: ToolRunner) -> BoxTool:
        """Return the tool as FastMCP serves it, from what the build recorded."""
        tool = cls(
            name=release.served(spec),
            version=release.version,
            description=spec.description,
            parameters=spec.input_schema,
            output_schema=_object_schema(spec.output_schema),
            annotations=ToolAnnotations.model_validate(spec.annotations),
            tags=set(release.manifest.keywords),
            meta={"boxwright": {"box": release.name, "version": release.version, "digest": release.digest}},
        )
        tool._release, tool._runner, tool._spec = release, runner, spec
        return tool

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Call the tool; FastMCP validates nothing for tools of this kind, the runner does."""
        try:
            result = await self._runner.call(self._release, self._spec.name, arguments)
        except BoxwrightError as error:
            raise to_mcp_error(error) from error
        content = result if isinstance(result, str) else canonical(result)
        structured = result if _is_object(self._spec.output_schema) else {"result": result}
        return ToolResult(content=content, structured_content=structured)


class RegistryProvider(Provider):
    """Serves the newest usable release of every box; any other usable release by its exact version."""

    def __init__(self, registry: Registry, runner: ToolRunner, boxes: Sequence[str] = ()) -> None:
        super().__init__()
        self._registry, self._runner = registry, runner
        self._only = frozenset(boxes)
        self._tools: dict[tuple[str, str], BoxTool] = {}
        """By digest and tool, since a release never changes."""

    async def _list_tools(self) -> Sequence[Tool]:
        return [self._tool(release, spec) for release in self._served() for spec in release.tools]

    async def _get_tool(self, name: str, version: VersionSpec | None = None) -> Tool | None:
        return self._find(name, version)

    def input_schema(self, name: str) -> dict[str, Any] | None:
        """Return the input schema of a served tool, or None where there is none of that name."""
        try:
            tool = self._find(name, None)
        except BoxwrightError:
            return None  # the call itself says what is wrong
        return tool.parameters if tool else None

    def why_unknown(self, name: str) -> str:
        """Return what to say of a tool or version that is not served."""
        served = [release.served(spec) for release in self._served() for spec in release.tools]
        box = name.partition("__")[0]
        versions = self._usable(box)
        try:
            for version in versions:
                self._registry.get(box, version)
        except BoxwrightError as error:
            return str(error)
        if name in served:
            return f"tool {name!r} has no such version; the versions of its box are {', '.join(versions)}"
        return f"no tool {name!r} is served{did_you_mean(near_misses(name, served))}"

    def state(self) -> list[str]:
        """Return what is served now, as digests; it changes when a release is published or yanked."""
        return [release.digest for release in self._served()]

    def _served(self) -> list[Release]:
        return [one for one in self._registry.current() if not self._only or one.name in self._only]

    def _usable(self, box: str) -> list[str]:
        return self._registry.usable(box) if self._registry.versions(box) else []

    def _find(self, name: str, version: VersionSpec | None) -> BoxTool | None:
        box, _, tool = name.partition("__")
        if self._only and box not in self._only:
            return None
        for number in reversed(self._usable(box)):
            if version is not None and not version.matches(number):
                continue
            release = self._registry.get(box, number)
            specs = {spec.name: spec for spec in release.tools}
            return self._tool(release, specs[tool]) if tool in specs else None
        return None

    def _tool(self, release: Release, spec: ToolSpec) -> BoxTool:
        key = (release.digest, spec.name)
        if key not in self._tools:
            self._tools[key] = BoxTool.of(release, spec, self._runner)
        return self._tools[key]


def _is_object(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "object"


def _object_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an output schema as MCP wants it: of an object, which a plain value is put into."""
    if _is_object(schema):
        return schema
    return {"type": "object", "properties": {"result": schema}, "required": ["result"], WRAPPED: True}
