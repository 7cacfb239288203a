"""One lazy provider over the whole registry: tools come from `tools.json` when asked for.

A FastMCP server mounted per box would make a call through 200 of them six times as slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmcp.server.providers import Provider
from fastmcp.tools import Tool
from fastmcp.utilities.versions import VersionSpec

from boxwright.box import Release, ToolSpec
from boxwright.errors import BoxwrightError, did_you_mean, near_misses
from boxwright.registry import Pin
from boxwright.sandbox import ToolRunner
from boxwright.settings import Listing
from boxwright_server.box_tool import BoxTool
from boxwright_server.caller import pin, wanted_version
from boxwright_server.selection import Selection, why_not


class RegistryProvider(Provider):
    """Serves the tools of a selection of releases: all listed, or behind a search once they would fill a context."""

    def __init__(
        self, selection: Selection, runner: ToolRunner, *, listing: Listing = "auto", listing_tokens: int = 6000
    ) -> None:
        super().__init__()
        self.selection = selection
        self.search_tools: Sequence[Tool] = ()
        """The tools that stand in for a listing that is too long."""
        self._runner = runner
        self._listing = listing
        self._most_tokens = listing_tokens
        self._tools: dict[tuple[str, ...], BoxTool] = {}
        """By digest, tool and what was said of the release, since nothing else of it can change."""

    async def _list_tools(self) -> Sequence[Tool]:
        whole = self.whole()
        return list(self.search_tools) if whole is None else whole

    async def _get_tool(self, name: str, version: VersionSpec | None = None) -> Tool | None:
        ours = [tool for tool in self.search_tools if tool.name == name]
        return ours[0] if ours else self.find(name, version or wanted_version(), pin(box_of(name)))

    def whole(self) -> list[BoxTool] | None:
        """Return every tool that is served, or None where their definitions take more tokens than a listing may."""
        found: list[BoxTool] = []
        if self._listing == "search":
            return None
        left = self._most_tokens
        for release in self.selection.served():
            tools = self.tools(release)
            found += tools
            left -= sum(tool.tokens for tool in tools)
            if left < 0 and self._listing == "auto":
                return None
        return found

    def find(self, name: str, version: VersionSpec | None = None, pinned: Pin = Pin()) -> BoxTool | None:  # noqa: B008  # frozen
        """Return a served tool by its name, of the newest release or of the one that was asked for.

        Raises:
            PinUnmet: The pin cannot be met.
            BoxwrightError: The release that was asked for cannot be read.
        """
        box, tool = box_of(name), name.partition("__")[2]
        release = self.selection.find(box, version.matches if version is not None else lambda _: True, pinned)
        specs = [spec for spec in release.tools if spec.name == tool] if release is not None else []
        return self._tool(release, specs[0]) if release is not None and specs else None

    def tools(self, release: Release) -> list[BoxTool]:
        """Return the tools of a release as they are served."""
        return [self._tool(release, spec) for spec in release.tools]

    def input_schema(self, name: str) -> dict[str, Any] | None:
        """Return the input schema of a served tool, or None where there is none of that name."""
        try:
            tool = self.find(name)
        except BoxwrightError:
            return None  # the call itself says what is wrong
        return tool.parameters if tool else None

    def why_unknown(self, name: str) -> str:
        """Return what to say of a tool or version that is not served."""
        box = box_of(name)
        try:  # FastMCP takes an error of a provider for the absence of a tool
            self.find(name, wanted_version(), pin(box))
            versions, found = self.selection.versions(box), self.find(name)
        except BoxwrightError as error:
            return str(error)
        if fault := why_not(self.selection, box):
            return fault
        if found is not None:
            return f"tool {name!r} has no such version; the versions of its box are {', '.join(versions)}"
        whole = self.whole()
        if whole is not None:
            return f"no tool {name!r} is served{did_you_mean(near_misses(name, [tool.name for tool in whole]))}"
        release = self.selection.find(box, lambda _: True, Pin())
        siblings = [tool.name for tool in self.tools(release)] if release is not None else []
        return f"no tool {name!r} is served{did_you_mean(near_misses(name, siblings))}; find_tools finds tools by words"

    def _tool(self, release: Release, spec: ToolSpec) -> BoxTool:
        key = (release.digest, spec.name, release.lifecycle, release.reason, release.replacement)
        if key not in self._tools:
            self._tools[key] = BoxTool.of(release, spec, self._runner)
        return self._tools[key]


def box_of(name: str) -> str:
    """Return the box of a served tool's name."""
    return name.partition("__")[0]
