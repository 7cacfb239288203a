"""`--to mcpb`: an MCP bundle, the zip file that Claude Desktop and others install with a click. No sandbox in it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping

from boxwright.box.release import Release
from boxwright.export.fastmcp_script import DEPENDENCIES, data_files, server_script
from boxwright.export.script import requirements
from boxwright.jsontypes import JsonObject, pretty

MANIFEST_VERSION = "0.4"
"""The first with servers of the type `uv`, whose packages the client installs."""
_ENTRY = "server/main.py"
_OLDEST_DATE = (1980, 1, 1, 0, 0, 0)


def mcp_bundle(release: Release) -> dict[str, bytes]:
    """Return the bundle. The same release gives the same bytes, whenever and wherever it is exported.

    Raises:
        BadInput: The box's source would mean something else in a script of its own.
    """
    files = {
        "manifest.json": pretty(_manifest(release)).encode(),
        "pyproject.toml": _project(release).encode(),
        "README.md": (release.folder / "README.md").read_bytes(),
        _ENTRY: server_script(release),
        **{f"server/{name}": content for name, content in data_files(release).items()},
    }
    return {f"{release.name}-{release.version}.mcpb": _zipped(files)}


def _manifest(release: Release) -> JsonObject:
    about = release.manifest
    maker = about.provenance.teacher or "Boxwright"
    command: JsonObject = {"command": "uv", "args": ["run", "--directory", "${__dirname}", _ENTRY]}
    content = about.model_dump(mode="json", by_alias=True, exclude_none=True)
    own = {key: content[key] for key in ("requires-python", "dependencies", "permissions", "limits", "provenance")}
    return {
        "manifest_version": MANIFEST_VERSION,
        "name": release.name,
        "version": release.version,
        "description": about.summary,
        "long_description": f"{about.description}\n\nMade: {release.origin}. It runs without a sandbox.",
        "author": {"name": f"{maker} ({about.provenance.method})"},
        "license": about.license,
        "keywords": list(about.keywords),
        "server": {"type": "uv", "entry_point": _ENTRY, "mcp_config": command},
        "tools": [{"name": release.served(tool), "description": tool.description} for tool in release.tools],
        "compatibility": {"runtimes": {"python": about.requires_python}},
        "_meta": {"boxwright": {"digest": release.digest, **own}},
    }


def _project(release: Release) -> str:
    """Return the `pyproject.toml` from which a client learns what to install."""
    return (
        f"[project]\nname = {json.dumps(release.name)}\nversion = {json.dumps(release.version)}\n"
        f"{requirements(release, DEPENDENCIES)}\n[tool.uv]\npackage = false\n"
    )


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip file whose bytes follow from the files alone: in order, undated, and stored as they are.

    Nothing is compressed, since what a compressor writes depends on its version.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _OLDEST_DATE)
            entry.create_system = 3  # Unix, so that the permissions below are read
            entry.external_attr = 0o100644 << 16
            bundle.writestr(entry, files[name])
    return buffer.getvalue()
