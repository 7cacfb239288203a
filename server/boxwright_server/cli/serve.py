"""Serve boxes to MCP clients over stdio or HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from boxwright.settings import Settings
from boxwright.terminal import run_async
from boxwright_server.app import create_server, serve_http, serve_stdio


@click.command()
@click.option("--stdio", "transport", flag_value="stdio", default=True, help="Over stdin and stdout (the default).")
@click.option("--http", "transport", flag_value="http", help="Over streamable HTTP, at /mcp.")
@click.option("--host", default="127.0.0.1", show_default=True, help="With --http: the address to listen on.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="With --http.")
@click.option("--box", "boxes", multiple=True, help="Serve only this box; may be given again.")
@click.option("--registry", type=click.Path(path_type=Path), help="The registry folder (default: yours).")
def serve(transport: str, host: str, port: int, boxes: tuple[str, ...], registry: Path | None) -> None:
    """Serve the boxes of your registry and of the shipped library to MCP clients."""
    settings = Settings()
    if registry:
        settings = settings.model_copy(update={"registry": registry})
    server = create_server(settings, boxes)
    run_async(serve_stdio(server) if transport == "stdio" else serve_http(server, host, port))
