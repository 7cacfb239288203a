"""`--to fastmcp`: one Python script that serves the box over MCP, with no part of Boxwright in it and no sandbox."""

from __future__ import annotations

from boxwright.box.folder import box_files
from boxwright.box.release import Release
from boxwright.export.script import make_script

DEPENDENCIES = ("fastmcp>=4.1",)


def fastmcp_script(release: Release) -> dict[str, bytes]:
    """Return the script; of a box with data files, a folder with both.

    Raises:
        BadInput: The box's source would mean something else in a script of its own.
    """
    data = data_files(release)
    folder = f"{release.name}/" if data else ""
    files = {f"{release.name}.py": server_script(release), **data}
    return {folder + name: content for name, content in files.items()}


def server_script(release: Release) -> bytes:
    """Return the script alone."""
    return make_script(release, "serving", "_boxwright_serve", DEPENDENCIES)


def data_files(release: Release) -> dict[str, bytes]:
    """Return the box's data files by their path, which begins with `data/`."""
    return {name: path.read_bytes() for name, path in box_files(release.folder).items() if name.startswith("data/")}
