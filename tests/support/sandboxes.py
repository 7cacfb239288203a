"""The real sandboxes as parameters of tests, and what one of them has running."""

from __future__ import annotations

from pathlib import Path

import pytest

from boxwright.sandbox import Sandbox

BOTH = ["bubblewrap", pytest.param("docker", marks=[pytest.mark.extended, pytest.mark.timeout(900)])]
"""Names of fixtures; the first Docker test of a machine makes its image, which takes a minute or more."""


def running(sandbox: Sandbox, folder: Path) -> list[str]:
    """Return what runs or lies about of workers of boxes below the folder."""
    return _containers(folder) if sandbox.name == "docker" else _processes(folder)


def _processes(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if command.startswith(b"bwrap") or b"/bwrap" in command.split(b"\0")[0]:
                found.append(command.decode(errors="replace"))
    return [command for command in found if str(folder) in command]


def _containers(folder: Path) -> list[str]:
    import docker

    client = docker.APIClient(version="auto", **docker.utils.kwargs_from_env())
    try:
        found = client.containers(all=True, filters={"label": "boxwright.owner"})
    finally:
        client.close()
    ours = [one for one in found if any(str(folder) in mount.get("Source", "") for mount in one["Mounts"])]
    return [f"{one['Id'][:12]} {one['State']}" for one in ours]
