"""The servers of an `mcp.json`, as clients write it, and the entry of our own box server."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from boxwright.errors import BadInput

_VARIABLE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[\]}])', re.DOTALL)
_OURS = re.compile("BOXWRIGHT_|DOCKER_|UV_|SSL_CERT_|(https?|all|no)_proxy$", re.IGNORECASE)
"""What our own server is given of the environment: its settings, and those of Docker and uv, which it runs."""
Transport = Literal["stdio", "http", "sse"]
_TYPES: dict[str, Transport] = {
    "stdio": "stdio",
    "local": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamableHttp": "http",
    "remote": "http",
    "sse": "sse",
}
"""What clients write as `type`, and what it means."""


class ServerEntry(BaseModel):
    """One server: a command over stdio, or an address over HTTP."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: str | None = None
    """The transport, where the entry names it; `sse` is the one of before 2025-03-26."""
    command: str | None = None
    args: list[str] = Field(default_factory=list)
    env: dict[str, str] | None = None
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    disabled: bool = False
    trusted: bool = False
    """Whether this server's word that a tool changes nothing counts: such a tool is called without asking."""

    @property
    def transport(self) -> Transport:
        """How the server is reached."""
        return _TYPES.get(self.type or "", "http" if self.url is not None else "stdio")

    @property
    def place(self) -> str:
        """The command or the address, for messages; without what stands before `@` and after `?`: these are secrets."""
        if self.url is None:
            return " ".join([str(self.command), *self.args])
        return re.sub(r"(?<=//)[^/]*@", "", self.url.partition("?")[0])

    @model_validator(mode="after")
    def _whole(self) -> ServerEntry:
        if self.type is not None and self.type not in _TYPES:
            raise ValueError(f"type {self.type!r} is none of {', '.join(_TYPES)}")
        if (self.command is None) == (self.url is None):
            raise ValueError("needs either a command or a url")
        if self.command is not None and not self.command.strip():
            raise ValueError("the command is empty")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError(f"the url begins with http:// or https://, got {self.url!r}")
        if self.type is not None and (self.transport == "stdio") != (self.command is not None):
            raise ValueError(f"type {self.type!r} needs a {'command' if self.transport == 'stdio' else 'url'}")
        return self


def box_server(*arguments: str) -> ServerEntry:
    """Return the entry of our own box server, with the settings of this process."""
    environment = {key: value for key, value in os.environ.items() if _OURS.match(key)}
    return ServerEntry(
        command=sys.executable,
        args=["-P", "-m", "boxwright_server", "--stdio", *arguments],
        env=environment,
        trusted=True,
    )


def read_mcp_json(path: Path) -> dict[str, ServerEntry]:
    """Return the enabled servers of an `mcp.json`, with `${NAME}` and `${NAME:-default}` put in from the environment.

    The servers stand under `mcpServers`, as Claude, Cursor and most clients write it, or under `servers` (VS Code).

    Raises:
        BadInput: It cannot be read, names no server that can be started or reached, or a variable that is not set.
    """
    try:
        whole = json.loads(_plain(path.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no mcp.json ({type(error).__name__}: {error}); {_FORM}") from error
    servers = (whole.get("mcpServers") or whole.get("servers")) if isinstance(whole, dict) else None
    if not isinstance(servers, dict) or not servers:
        raise BadInput(f"{path} names no server; {_FORM}")
    entries = {name: _read(path, name, entry) for name, entry in servers.items() if not _disabled(entry)}
    if not entries:
        raise BadInput(f"{path}: every server is disabled; enable one, or ask with --bare")
    return entries


def _plain(text: str) -> str:
    """Return the text without the comments and the commas before a closing bracket that VS Code lets stand in it."""
    uncommented = _COMMENT.sub(lambda found: found[1] or " ", text)
    return _LAST_COMMA.sub(lambda found: found[1] or "", uncommented)


_FORM = 'an mcp.json holds {"mcpServers": {"name": {"command": …} or {"url": …}}}'


def _disabled(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("disabled") is True


def _read(path: Path, name: str, entry: Any) -> ServerEntry:
    try:
        return ServerEntry.model_validate(_expanded(entry))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{path}: server {name!r}{f': {where}' if where else ''}: {said}; {_FORM}") from error
    except KeyError as error:
        variable = error.args[0]
        raise BadInput(
            f"{path}: server {name!r} wants the variable {variable!r}, which is not set; "
            f"set it, or write ${{{variable}:-default}}"
        ) from error


def _expanded(value: Any) -> Any:
    """Return the value with the variables in its texts put in; raises KeyError with the name of one that is not set."""
    if isinstance(value, str):
        return _VARIABLE.sub(_lookup, value)
    if isinstance(value, list):
        return [_expanded(one) for one in value]
    if isinstance(value, dict):
        return {key: _expanded(one) for key, one in value.items()}
    return value


def _lookup(found: re.Match[str]) -> str:
    name, default = found[1], found[2]
    return os.environ[name] if default is None else os.environ.get(name) or default
