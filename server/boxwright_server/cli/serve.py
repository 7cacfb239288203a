"""Serve boxes to MCP clients over stdio or HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from boxwright.settings import Settings
from boxwright.terminal import run_async
from boxwright_server.app import create_server, serve_stdio
from boxwright_server.http import serve_http, serve_replicas
from boxwright_server.telemetry import export_traces


@click.command()
@click.option("--stdio", "transport", flag_value="stdio", default=True, help="Over stdin and stdout (the default).")
@click.option("--http", "transport", flag_value="http", help="Over streamable HTTP, at /mcp.")
@click.option("--host", default="127.0.0.1", show_default=True, help="With --http: the address to listen on.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="With --http.")
@click.option(
    "--replicas",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="With --http: processes behind the port.",
)
@click.option("--box", "boxes", multiple=True, help="Serve only this box; may be given again.")
@click.option("--lock", type=click.Path(path_type=Path), help="Serve exactly what this lock file pins.")
@click.option(
    "--listing", type=click.Choice(["auto", "tools", "search"]), help="List all tools, or a search over them."
)
@click.option(
    "--registry",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The registry folder (default: yours).",
)
def serve(transport: str, host: str, port: int, replicas: int, **options: Any) -> None:
    """Serve the boxes of your registry and of the shipped library to MCP clients.

    What has no option here is set by variables: tokens, rates, the audit log, names of the server (docs/server.md).
    """
    settings = Settings()
    settings = settings.model_copy(update={name: value for name, value in options.items() if value})
    export_traces()
    server = create_server(settings)
    if transport == "stdio":
        run_async(serve_stdio(server))
    elif replicas == 1:
        run_async(serve_http(server, settings, host, port))
    else:
        serve_replicas(settings, host, port, replicas)
