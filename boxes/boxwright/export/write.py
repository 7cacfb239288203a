"""Writes an export, whole files only, and never over what is there unless told to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from boxwright.box.release import Release
from boxwright.errors import BadInput
from boxwright.export.agent_skill import agent_skill
from boxwright.export.fastmcp_script import fastmcp_script
from boxwright.export.mcp_bundle import mcp_bundle
from boxwright.export.openai_tools import openai_tools
from boxwright.files import writable

FORMATS: Mapping[str, Callable[[Release], dict[str, bytes]]] = {
    "fastmcp": fastmcp_script,
    "mcpb": mcp_bundle,
    "openai": openai_tools,
    "skill": agent_skill,
}
"""Each returns the files of an export by their path."""


def export(release: Release, to: str, into: Path, *, force: bool = False) -> list[Path]:
    """Write the release in the format named into a folder, and return the files written.

    Raises:
        BadInput: The box does not fit the format, the folder cannot be written, or a file is there already.
    """
    files = FORMATS[to](release)
    there = [name for name in files if (into / name).exists()]
    if folders := [name for name in there if (into / name).is_dir()]:
        raise BadInput(f"{str(into / folders[0])!r} is a folder; choose another one to export into with --out")
    if there and not force:
        raise BadInput(f"{str(into / there[0])!r} is there already; choose another folder with --out, or use --force")
    with writable(into), tempfile.TemporaryDirectory(dir=into, prefix=".export.") as temporary:
        for name, content in files.items():
            _write(Path(temporary) / name, content)
        for name in files:
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(temporary) / name).replace(into / name)
    return [into / name for name in files]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o644)
