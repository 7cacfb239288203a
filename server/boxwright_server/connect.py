"""MCP clients: where each keeps its servers, and the entry by which it starts ours. Writes nothing."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from boxwright.errors import BadInput, NotFound
from boxwright.jsontypes import pretty
from boxwright.settings import Settings

Entry = dict[str, Any]


@dataclass(frozen=True)
class Client:
    """A program that reads its MCP servers from a JSON file."""

    title: str
    place: str
    """Its file, in which `{home}`, `{config}` (where the system keeps settings) and `{dot}` (`~/.config`) stand."""
    section: str = "mcpServers"
    """The key under which it lists servers."""
    stdio: Entry | None = None
    """What its entries for commands say besides the command."""
    http: Entry | None = None
    """What its entries for addresses say besides address and headers; None where its file knows no addresses."""
    url: str = "url"
    """The key of the address."""
    variable: str = ""
    """How its headers refer to the environment variable NAME; empty where they cannot."""
    windows: str = ""
    """Its file on Windows, where that has another name."""


CLIENTS: dict[str, Client] = {
    "claude-code": Client(
        "Claude Code", "{home}/.claude.json", stdio={"type": "stdio"}, http={"type": "http"}, variable="${NAME}"
    ),
    "claude-desktop": Client("Claude Desktop", "{config}/Claude/claude_desktop_config.json"),
    "cline": Client(
        "Cline (VS Code)",
        "{config}/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        http={"type": "streamableHttp"},
    ),
    "cline-cli": Client(
        "Cline (CLI)", "{home}/.cline/data/settings/cline_mcp_settings.json", http={"type": "streamableHttp"}
    ),
    "cursor": Client("Cursor", "{home}/.cursor/mcp.json", http={}, variable="${env:NAME}"),
    "gemini-cli": Client("Gemini CLI", "{home}/.gemini/settings.json", http={}, url="httpUrl", variable="${NAME}"),
    "lm-studio": Client("LM Studio", "{home}/.lmstudio/mcp.json", http={}),
    "mcp-json": Client("any other", "mcp.json", http={}),
    "vscode": Client(
        "VS Code", "{config}/Code/User/mcp.json", section="servers", stdio={"type": "stdio"}, http={"type": "http"}
    ),
    "windsurf": Client(
        "Windsurf", "{home}/.codeium/windsurf/mcp_config.json", http={}, url="serverUrl", variable="${env:NAME}"
    ),
    "zed": Client(
        "Zed", "{dot}/zed/settings.json", section="context_servers", http={}, windows="{config}/Zed/settings.json"
    ),
}
"""By the name that the command takes; `docs/clients.md` says where each comes from."""


def find_client(name: str) -> Client:
    """Return the client of that name.

    Raises:
        NotFound: There is none.
    """
    if name not in CLIENTS:
        raise NotFound("client", name, CLIENTS, f"they are {', '.join(CLIENTS)}; use mcp-json with --file for others")
    return CLIENTS[name]


def client_file(client: Client, system: str = sys.platform) -> Path:
    """Return where the client keeps its file on a system, named as `sys.platform` names it."""
    home = Path.home()
    dot = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    config = dot
    if system == "darwin":
        dot, config = home / ".config", home / "Library" / "Application Support"
    elif system == "win32":
        config = Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
    place = client.windows if system == "win32" and client.windows else client.place
    return Path(place.format(home=home, config=config, dot=dot))


def stdio_entry(client: Client, settings: Settings, arguments: Sequence[str] = ()) -> Entry:
    """Return the entry that starts `boxwright serve` with this environment's Python and this process's settings.

    `-P`, since clients start servers in the folder that is open, from which nothing may be imported.
    """
    command = {"command": sys.executable, "args": ["-P", "-m", "boxwright_server", "--stdio", *arguments]}
    environment = _environment(settings)
    return {**(client.stdio or {}), **command, **({"env": environment} if environment else {})}


def http_entry(client: Client, url: str, headers: Sequence[str] = (), token_variable: str = "") -> Entry:
    """Return the entry for a server that listens at an address already.

    Args:
        client: Whose entry it is.
        url: The address, such as `http://127.0.0.1:8765/mcp`.
        headers: What is sent with each request, as `Name: value`, and stands in the file as it is given here.
        token_variable: The environment variable that holds the bearer token; only its name gets into the file.

    Raises:
        BadInput: The client's file knows no addresses or variables, or the address or a header is none.
    """
    if client.http is None:
        raise BadInput(f"{client.title} takes no address in its file; leave out --http, or add a connector there")
    sent = dict(_header(header) for header in headers)
    if token_variable:
        sent["Authorization"] = f"Bearer {_variable(client, token_variable)}"
    return {**client.http, client.url: _address(url), **({"headers": sent} if sent else {})}


def document(client: Client, name: str, entry: Entry) -> str:
    """Return the JSON of a file that holds the entry alone."""
    return pretty({client.section: {name: entry}})


def _environment(settings: Settings) -> dict[str, str]:
    """Return the variables of the settings that are set here; paths whole, since the client starts us elsewhere."""
    found = {}
    for name, text in sorted(os.environ.items()):
        prefix, _, field = name.lower().partition("_")
        if prefix == "boxwright" and field in settings.model_fields_set:
            value = getattr(settings, field)
            found[name] = str(value.absolute()) if isinstance(value, Path) else text
    return found


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or any(one.isspace() for one in url):
        raise BadInput(f"{url!r} is no address; write one such as 'http://127.0.0.1:8765/mcp'")
    if parts.path in ("", "/"):
        raise BadInput(f"{url!r} has no path; `boxwright serve --http` serves at {url.rstrip('/') + '/mcp'!r}")
    return url


def _header(header: str) -> tuple[str, str]:
    name, colon, value = (part.strip() for part in header.partition(":"))
    if not colon or not value or not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name, re.ASCII) or not value.isprintable():
        raise BadInput(f"{header!r} is no header; write it as 'Name: value'")
    return name, value


def _variable(client: Client, name: str) -> str:
    if not client.variable:
        raise BadInput(f"{client.title} reads no environment variables in headers; use --header 'Authorization: …'")
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise BadInput(f"{name!r} is no environment variable; give its name, not what it holds")
    return client.variable.replace("NAME", name)
