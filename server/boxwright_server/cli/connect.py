"""Connect an MCP client: write the boxes' entry into its settings file, or print it."""

from __future__ import annotations

import re
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Column, Table

from boxwright.errors import BadInput
from boxwright.registry import open_registry
from boxwright.settings import Settings
from boxwright.terminal import notes, screen
from boxwright_server.client_file import write_entry
from boxwright_server.connect import (
    CLIENTS,
    Client,
    Entry,
    client_file,
    document,
    find_client,
    http_entry,
    stdio_entry,
)


@click.command()
@click.argument("client", required=False)
@click.option("--name", default="boxwright", show_default=True, help="What the server is called there.")
@click.option(
    "--file", "path", type=click.Path(path_type=Path), help="Another file of the client, such as a project's."
)
@click.option("--print", "print_only", is_flag=True, help="Print the entry and write nothing.")
@click.option("--force", is_flag=True, help="Replace another entry of that name.")
@click.option("--http", "url", help="The address of a server that runs already, such as http://127.0.0.1:8765/mcp.")
@click.option("--header", "headers", multiple=True, help="With --http: 'Name: value', written as it is.")
@click.option("--token-env", default="", help="With --http: the variable that holds the bearer token.")
@click.option("--box", "boxes", multiple=True, help="Serve only this box; may be given again.")
@click.option("--registry", type=click.Path(path_type=Path), help="The registry folder (default: yours).")
def connect(
    client: str | None,
    name: str,
    path: Path | None,
    print_only: bool,
    force: bool,
    url: str | None,
    headers: tuple[str, ...],
    token_env: str,
    boxes: tuple[str, ...],
    registry: Path | None,
) -> None:
    """Write the entry for CLIENT, after which it starts `boxwright serve` itself. Without CLIENT, list them all."""
    if client is None:
        screen().print(_table())
        return
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise BadInput(f"{name!r} is no name for a server: use letters, digits, _ and -, at most 64")
    known = find_client(client)
    entry = _http(known, url, headers, token_env, boxes, registry) if url else _stdio(known, boxes, registry)
    if not url and (headers or token_env):
        raise BadInput("--header and --token-env go with --http")
    if print_only:
        click.echo(document(known, name, entry), nl=False)
        return
    where = path or client_file(known)
    done = write_entry(where, known.section, name, entry, force=force)
    screen().print(f"{done} {name!r} in {where}", markup=False)
    if done != "unchanged" and client != "mcp-json":
        notes().print(f"restart {known.title} to see the boxes", markup=False)


def _stdio(client: Client, boxes: tuple[str, ...], registry: Path | None) -> Entry:
    settings = Settings()
    opened = open_registry(settings.model_copy(update={"registry": registry}) if registry else settings)
    for box in boxes:
        opened.releases(box)  # an unknown one is told here, not by a server that does not start
    arguments = [word for box in boxes for word in ("--box", box)]
    return stdio_entry(client, settings, [*arguments, *(["--registry", str(registry.absolute())] if registry else [])])


def _http(
    client: Client,
    url: str,
    headers: tuple[str, ...],
    token_env: str,
    boxes: tuple[str, ...],
    registry: Path | None,
) -> Entry:
    if boxes or registry:
        raise BadInput("--box and --registry are for `boxwright serve --http`, which runs at that address already")
    return http_entry(client, url, headers, token_env)


def _table() -> Table:
    table = Table("client", "is", Column("its file", overflow="fold"), "there")
    for name, client in CLIENTS.items():
        path = client_file(client)
        table.add_row(name, escape(client.title), escape(str(path)), "yes" if path.exists() else "not yet")
    return table
