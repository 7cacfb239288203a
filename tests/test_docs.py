"""What README and docs show is run as it is written, where it needs no model of the reader's own."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.settings import Settings
from boxwright_server.cli.connect import connect
from boxwright_server.connect import CLIENTS, http_entry

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONNECTING = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
LINES = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
RUNNABLE = [line for line in LINES if "--model pocket" in line or "boxes new" in line]


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


def test_the_readmes_python_runs_as_written(sandbox: Bubblewrap, tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=100, cwd=tmp_path)
    assert done.stdout == "(4 - 10) * (9 - 13)\n", done.stderr


def test_every_command_the_readme_names_exists() -> None:
    from importlib.metadata import entry_points

    known = {entry.name for entry in entry_points(group="boxwright.commands")}
    named = set(re.findall(r"boxwright ([a-z]+)", " ".join(LINES)))
    assert named <= known
    assert {"ask", "run", "serve", "compare", "mine", "boxes"} <= named


def test_the_readmes_mcp_json_is_one() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    assert json.loads(block)["mcpServers"]["boxwright"]["args"] == ["serve"]


@pytest.mark.parametrize(
    ("line", "shown"), re.findall(r"```sh\nboxwright connect ([^\n]*)\n```\n\n```json\n(.*?)```", CONNECTING, re.DOTALL)
)
def test_an_entry_that_the_docs_show_is_what_the_command_prints(
    line: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in [name for name in os.environ if name.startswith("BOXWRIGHT_")]:
        monkeypatch.delenv(variable)
    printed = CliRunner().invoke(connect, shlex.split(line)).output
    assert json.loads(printed) == json.loads(shown.replace("/path/to/.venv/bin/python", sys.executable))


def test_the_docs_show_entries_and_run_the_other_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert CONNECTING.count("```json") == 4
    for line in CONNECTING.partition("```sh\n")[2].partition("```")[0].splitlines():
        program, command, *words = shlex.split(line, comments=True)
        assert (program, command) == ("boxwright", "connect")
        assert CliRunner().invoke(connect, words).exit_code == 0, line


@pytest.mark.parametrize("name", CLIENTS)
def test_the_docs_say_of_every_client_what_is_written_for_it(name: str) -> None:
    client = CLIENTS[name]
    (row,) = [line for line in CONNECTING.splitlines() if line.startswith(f"| `{name}` |")]
    cells = [cell.strip().strip("`") for cell in row.strip("|").split("|")]
    place = client.place.replace("{home}", "~").replace("{dot}", "~/.config").replace("{config}/", "")
    url = "" if client.http is None else client.url
    assert cells == [name, place, client.section, url, client.variable]
    if url:
        assert url in http_entry(client, "http://127.0.0.1:8765/mcp")


def test_every_variable_the_docs_name_is_a_setting() -> None:
    texts = [path.read_text() for path in (ROOT / "docs").glob("*.md")]
    named = {name.lower() for text in texts for name in re.findall(r"BOXWRIGHT_([A-Z_]+[A-Z])", text)}
    assert named <= set(Settings.model_fields)
