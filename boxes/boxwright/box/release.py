"""A release of a box: its manifest, tools and digest, and where its files lie. A value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from boxwright.box.manifest import Manifest
from boxwright.box.names import served_name
from boxwright.errors import BoxInvalid, ToolUnknown, did_you_mean, near_misses

Lifecycle = Literal["active", "deprecated", "yanked"]


@dataclass(frozen=True)
class ToolSpec:
    """One tool as `tools.json` records it."""

    name: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    annotations: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the tool as it stands in `tools.json`."""
        return dict(vars(self))


@dataclass(frozen=True)
class Release:
    """One version of a box."""

    folder: Path
    """Where its files lie."""
    manifest: Manifest
    tools: tuple[ToolSpec, ...]
    """Empty before the box is built."""
    digest: str
    """Digest over its files, as they were when it was published or staged."""
    lifecycle: Lifecycle = "active"
    reason: str = ""
    """Why it is deprecated or yanked."""
    replacement: str = ""
    """What to use instead, where something is."""

    @property
    def name(self) -> str:
        """The box's name."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The release's version."""
        return self.manifest.version

    @property
    def title(self) -> str:
        """Name and version as people write them."""
        return f"{self.name} {self.version}"

    @property
    def origin(self) -> str:
        """Where the box comes from, in words: how it was made, by which model, and the label it carries."""
        made = self.manifest.provenance
        return ", ".join(part for part in (made.method, made.teacher, made.label) if part)

    def tool(self, name: str) -> ToolSpec:
        """Return the tool of that name.

        Raises:
            ToolUnknown: The box has no such tool.
        """
        for tool in self.tools:
            if tool.name == name:
                return tool
        names = [tool.name for tool in self.tools]
        has = ", ".join(names) or "none yet"
        raise ToolUnknown(
            f"box {self.title} has no tool {name!r} (it has {has}){did_you_mean(near_misses(name, names))}"
        )

    def served(self, tool: ToolSpec) -> str:
        """Return the name under which the tool is served."""
        return served_name(self.name, tool.name)


def parse_tools(text: str, where: str = "tools.json") -> tuple[ToolSpec, ...]:
    """Read `tools.json`.

    Raises:
        BoxInvalid: It is not what a build writes.
    """
    try:
        return tuple(ToolSpec(**tool) for tool in json.loads(text)["tools"])
    except (ValueError, TypeError, KeyError) as error:
        raise BoxInvalid(where, [f"not what a build writes ({error!r}); build the box again"]) from error
