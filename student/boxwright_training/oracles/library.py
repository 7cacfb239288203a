"""The shipped library's tools as oracles call them: in the sandbox, and with the text that the student would read."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from boxwright.box.release import Release, ToolSpec
from boxwright.errors import ModelMayRetry
from boxwright.jsontypes import canonical, digest
from boxwright.models import ToolDefinition
from boxwright.registry import Registry
from boxwright.registry.registry import library_folder
from boxwright.sandbox import ToolRunner, choose_sandbox
from boxwright.settings import Settings
from boxwright_student.toolset import ToolOutcome, unknown_tool


class LibraryTools:
    """The tools of the library's current releases, called through a runner.

    The user's own boxes are left out, so that a seed means the same everywhere.
    """

    def __init__(self, runner: ToolRunner, releases: Iterable[Release] | None = None) -> None:
        self.runner = runner
        self._tools = {
            release.served(spec): (release, spec)
            for release in (Registry(library_folder()).current() if releases is None else releases)
            for spec in release.tools
        }

    def names(self, boxes: Sequence[str] | None = None) -> list[str]:
        """Return the served names of all tools, or of some boxes', in the order of a listing."""
        return [name for name, (release, _) in self._tools.items() if boxes is None or release.name in boxes]

    def some(self, boxes: Sequence[str], rng: random.Random) -> ShownTools:
        """Return the tools of the boxes and some of the others, in an order that is drawn too."""
        needed = self.names(boxes)
        others = [name for name in self._tools if name not in needed]
        shown = [*needed, *rng.sample(others, rng.randint(0, len(others)))]
        rng.shuffle(shown)
        return self.toolset(shown)

    def toolset(self, names: Sequence[str]) -> ShownTools:
        """Return the tools of these names as a toolset."""
        return ShownTools(self.runner, {name: self._tools[name] for name in names})


class ShownTools:
    """Some of the library's tools; a `Toolset` that says word for word what our server and the student's MCP say."""

    def __init__(self, runner: ToolRunner, tools: dict[str, tuple[Release, ToolSpec]]) -> None:
        self._runner, self._tools = runner, tools
        self.definitions: Sequence[ToolDefinition] = [
            ToolDefinition(
                name=name, description=spec.description, parameters=spec.input_schema, output_schema=spec.output_schema
            )
            for name, (_, spec) in tools.items()
        ]
        self.digest = digest([_listed(name, *tool) for name, tool in tools.items()])

    def news(self) -> list[str]:
        """Nothing changes: a release is immutable."""
        return []

    def read_only(self, name: str) -> bool:
        """See `Toolset.read_only`."""
        return name in self._tools and self._tools[name][1].annotations.get("readOnlyHint") is True

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        """See `Toolset.call`.

        Raises:
            CallerMustHandle: The sandbox cannot run the box.
        """
        if name not in self._tools:
            return unknown_tool(name, list(self._tools))
        release, spec = self._tools[name]
        try:
            result = await self._runner.call(release, spec.name, arguments)
        except ModelMayRetry as error:
            return ToolOutcome(str(error), failed=True)
        return ToolOutcome(result if isinstance(result, str) else canonical(result), value=result)


@asynccontextmanager
async def open_library(settings: Settings) -> AsyncIterator[LibraryTools]:
    """Open the library's tools with the sandbox of the settings.

    Raises:
        SandboxMissing: The sandbox asked for does not work here.
    """
    async with ToolRunner(choose_sandbox(settings)) as runner:
        yield LibraryTools(runner)


def _listed(name: str, release: Release, spec: ToolSpec) -> list[object]:
    """Return what tells a tool from others, as the student's MCP connection tells it: with the release behind it."""
    about = {"box": release.name, "version": release.version, "digest": release.digest}
    return [name, spec.description, spec.input_schema, about]
