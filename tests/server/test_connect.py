"""`boxwright connect`: the entries are those that MCP clients start, and nothing else in their files is lost."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fastmcp import Client as FastMCPClient
from mcp import Client as McpClient
from mcp.client.stdio import StdioServerParameters

from boxwright.errors import BadInput, NotFound
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.settings import Settings
from boxwright_server.cli.connect import connect
from boxwright_server.client_file import write_entry
from boxwright_server.connect import CLIENTS, client_file, find_client, http_entry, stdio_entry

URL = "http://127.0.0.1:8765/mcp"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any client, so that no test meets a real one's file."""
    for variable in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(connect, list(arguments))
    if isinstance(result.exception, Exception) and not isinstance(result.exception, BadInput | NotFound):
        raise result.exception
    return result


def entry(path: Path, section: str = "mcpServers", name: str = "boxwright") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())[section][name]
    return found


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_gets_its_entry_and_a_second_run_changes_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    assert run(name, "--file", str(path)).output.startswith("wrote 'boxwright'")
    found = entry(path, CLIENTS[name].section)
    assert (found["command"], found["args"]) == (sys.executable, ["-P", "-m", "boxwright_server", "--stdio"])
    assert found["env"]["BOXWRIGHT_HOME"] == os.environ["BOXWRIGHT_HOME"]
    before = path.read_bytes(), path.stat().st_ino
    assert run(name, "--file", str(path)).output.startswith("unchanged")
    assert (path.read_bytes(), path.stat().st_ino) == before


async def test_real_clients_start_the_server_by_the_written_entry(home: Path, sandbox: Bubblewrap) -> None:
    run("cursor", "--box", "dates")
    written = json.loads((home / ".cursor/mcp.json").read_text())
    async with FastMCPClient(written) as client:
        assert {tool.name.partition("__")[0] for tool in await client.list_tools()} == {"dates"}
        assert (await client.call_tool("dates__weekday", {"day": "2001-09-11"})).data == "Tuesday"
    await client.close()  # ends the server, which fastmcp keeps otherwise
    run("vscode")
    plain = entry(home / ".config/Code/User/mcp.json", "servers")
    assert plain.pop("type") == "stdio"
    async with McpClient(StdioServerParameters(**plain)) as other:
        result = await other.call_tool("dates__weekday", {"day": "2001-09-11"})
        assert result.structured_content == {"result": "Tuesday"}


async def test_a_real_client_reaches_a_running_server_by_the_written_entry(home: Path, sandbox: Bubblewrap) -> None:
    with http_server() as url:
        run("claude-code", "--http", url, "--header", "X-Team: red")
        async with FastMCPClient(json.loads((home / ".claude.json").read_text())) as client:
            assert (await client.call_tool("dates__weekday", {"day": "2001-09-11"})).data == "Tuesday"


def test_the_server_imports_nothing_from_the_folder_a_client_starts_it_in(tmp_path: Path) -> None:
    (tmp_path / "boxwright").mkdir()
    (tmp_path / "boxwright/__init__.py").write_text("raise SystemExit('a stranger')")
    command = stdio_entry(CLIENTS["cursor"], Settings())
    started = subprocess.run(
        [command["command"], *command["args"], "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert "Usage: boxwright serve" in started.stdout


def test_relative_paths_among_the_settings_are_made_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOXWRIGHT_REGISTRY", "mine")
    monkeypatch.setenv("BOXWRIGHT_LIBRARY", "false")
    monkeypatch.setenv("BOXWRIGHT_NO_SUCH_SETTING", "x")
    environment = stdio_entry(CLIENTS["cursor"], Settings())["env"]
    assert environment["BOXWRIGHT_REGISTRY"] == str(tmp_path / "mine")
    assert environment["BOXWRIGHT_LIBRARY"] == "false"
    assert "BOXWRIGHT_NO_SUCH_SETTING" not in environment
    assert entry_arguments("--registry", "other")[-2:] == ["--registry", str(tmp_path / "other")]


def entry_arguments(*arguments: str) -> list[str]:
    printed: list[str] = json.loads(run("cursor", "--print", *arguments).output)["mcpServers"]["boxwright"]["args"]
    return printed


def test_everything_else_in_the_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "dotfiles.json"
    target.write_text(
        '{\n\t"theme": "größe",\n\t"n": 12345678901234567890,\n\t"mcpServers": {"other": {"command": "x"}}\n}'
    )
    target.chmod(0o640)
    link = tmp_path / "settings.json"
    link.symlink_to(target)
    assert run("cursor", "--file", str(link)).output.startswith("added")
    content = json.loads(target.read_text())
    assert content.pop("mcpServers").keys() == {"other", "boxwright"}
    assert content == {"theme": "größe", "n": 12345678901234567890}
    assert '\n\t"theme": "größe"' in target.read_text()
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(one.name for one in tmp_path.iterdir()) == ["dotfiles.json", "settings.json"]


def test_a_new_file_is_readable_to_its_owner_alone(home: Path) -> None:
    run("lm-studio", "--http", URL, "--header", "Authorization: Bearer secret")
    assert stat.S_IMODE((home / ".lmstudio/mcp.json").stat().st_mode) == 0o600


def test_another_entry_of_that_name_is_shown_and_replaced_only_when_forced(home: Path) -> None:
    run("cursor", "--box", "dates")
    refused = run("cursor", "--box", "calculator")
    assert isinstance(refused.exception, BadInput)
    assert '"dates"' in str(refused.exception)
    assert '"calculator"' in str(refused.exception)
    assert entry(home / ".cursor/mcp.json")["args"][-1] == "dates"
    assert run("cursor", "--box", "calculator", "--force").output.startswith("replaced")
    assert entry(home / ".cursor/mcp.json")["args"][-1] == "calculator"
    assert run("cursor", "--box", "dates", "--name", "dates").output.startswith("added 'dates'")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n  // mine\n  "theme": "dark"\n}', "line 2"),
        ('{"a": 1, "a": 2}', "a key stands twice"),
        ('{"a": NaN}', "no number of JSON's"),
        ('{"a": 1e999}', "no number of JSON's"),
        ('{"a": 1,}', "line 1"),
        ("[]", "holds no object"),
    ],
)
def test_a_file_that_cannot_be_kept_whole_is_not_touched_and_the_entry_is_shown(
    text: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=words) as caught:
        write_entry(path, "context_servers", "boxwright", {"command": "python"})
    assert '"context_servers": {\n    "boxwright": {\n      "command": "python"' in str(caught.value)
    assert path.read_text() == text


def test_a_key_that_holds_something_else_and_a_file_that_is_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text('{"mcpServers": []}')
    with pytest.raises(BadInput, match="'mcpServers' is no object"):
        write_entry(tmp_path / "odd.json", "mcpServers", "boxwright", {})
    with pytest.raises(BadInput, match="cannot read"):
        write_entry(tmp_path, "mcpServers", "boxwright", {})
    with pytest.raises(BadInput, match="cannot"):
        write_entry(tmp_path / "odd.json" / "below.json", "mcpServers", "boxwright", {})


def test_a_folder_that_does_not_let_itself_be_written_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(BadInput, match="choose a folder you may write to"):
        write_entry(path, "mcpServers", "boxwright", {})
    assert [one.name for one in tmp_path.iterdir()] == ["mcp.json"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("curser",), "did you mean 'cursor'"),
        (("cursor", "--name", "a b"), "no name for a server"),
        (("cursor", "--box", "date"), "did you mean 'dates'"),
        (("cursor", "--header", "A: b"), "go with --http"),
        (("cursor", "--http", URL, "--box", "dates"), "runs at that address already"),
        (("cursor", "--http", "127.0.0.1:8765"), "is no address"),
        (("cursor", "--http", "http://127.0.0.1:8765"), "'http://127.0.0.1:8765/mcp'"),
        (("cursor", "--http", URL, "--header", "Authorization"), "write it as 'Name: value'"),
        (("cursor", "--http", URL, "--header", "A: b\nC: d"), "write it as 'Name: value'"),
        (("cursor", "--http", URL, "--token-env", "eyJhbGciOi.x"), "not what it holds"),
        (("zed", "--http", URL, "--token-env", "TOKEN"), "Zed reads no environment variables"),
        (("claude-desktop", "--http", URL), "takes no address in its file"),
    ],
)
def test_bad_input_is_told_with_the_way_out(arguments: tuple[str, ...], words: str, home: Path) -> None:
    before = sorted(home.rglob("*"))
    result = run(*arguments)
    assert words in str(result.exception)
    assert sorted(home.rglob("*")) == before


def test_addresses_are_written_as_each_client_reads_them() -> None:
    written = {name: http_entry(client, URL) for name, client in CLIENTS.items() if client.http is not None}
    assert written["vscode"] == written["claude-code"] == {"type": "http", "url": URL}
    assert written["cline"] == {"type": "streamableHttp", "url": URL}
    assert (written["gemini-cli"], written["windsurf"]) == ({"httpUrl": URL}, {"serverUrl": URL})
    assert written["cursor"] == written["zed"] == written["lm-studio"] == written["mcp-json"] == {"url": URL}
    headers = http_entry(CLIENTS["windsurf"], URL, ["X-A: b:c"], "TOKEN")["headers"]
    assert headers == {"X-A": "b:c", "Authorization": "Bearer ${env:TOKEN}"}


def test_each_system_has_its_places(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desktop, zed = find_client("claude-desktop"), find_client("zed")
    assert client_file(desktop, "darwin") == home / "Library/Application Support/Claude/claude_desktop_config.json"
    assert client_file(desktop, "win32") == home / "AppData/Roaming/Claude/claude_desktop_config.json"
    assert client_file(desktop, "linux") == home / ".config/Claude/claude_desktop_config.json"
    assert client_file(zed, "win32") == home / "AppData/Roaming/Zed/settings.json"
    assert client_file(zed, "darwin") == home / ".config/zed/settings.json"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "{xdg}"))
    assert client_file(zed, "linux") == home / "{xdg}/zed/settings.json"


def test_without_a_client_all_are_listed() -> None:
    listed = run().output
    assert all(name in listed for name in CLIENTS)


@contextmanager
def http_server() -> Iterator[str]:
    """Run `boxwright serve --http` on a free port and yield its address."""
    command = [sys.executable, "-m", "boxwright", "serve", "--http", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        yield line.split()[-1]
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stderr.close()
