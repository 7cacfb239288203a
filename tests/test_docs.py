"""The README's commands that need no model of the reader's own, run as they are written."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from boxwright.sandbox.bubblewrap import Bubblewrap

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
LINES = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
RUNNABLE = [line for line in LINES if "--model rules" in line or "boxes new" in line]


def test_the_readme_has_commands_to_run() -> None:
    assert len(RUNNABLE) >= 3


@pytest.mark.parametrize("line", RUNNABLE)
def test_a_command_of_the_readme_runs_as_written(line: str, sandbox: Bubblewrap, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stderr


def test_every_command_the_readme_names_exists() -> None:
    from importlib.metadata import entry_points

    known = {entry.name for entry in entry_points(group="boxwright.commands")}
    named = set(re.findall(r"boxwright ([a-z]+)", " ".join(LINES)))
    assert named <= known
    assert {"ask", "run", "serve", "compare", "mine", "boxes"} <= named


def test_the_readmes_mcp_json_is_one() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    assert json.loads(block)["mcpServers"]["boxwright"]["args"] == ["serve"]
