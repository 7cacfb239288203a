"""Puts the server together, and runs it over stdio or streamable HTTP."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastmcp import FastMCP

from boxwright import __version__
from boxwright.errors import BadInput
from boxwright.registry import open_registry
from boxwright.sandbox import ToolRunner, choose_sandbox
from boxwright.settings import Settings
from boxwright_server.gaps import announcing, fill_gaps
from boxwright_server.provider import RegistryProvider

INSTRUCTIONS = (
    "Each tool computes something exactly. When a task needs a computation that a tool does, call the tool and answer "
    "with its result instead of computing yourself. A failed call says what to change."
)


def create_server(settings: Settings, boxes: Sequence[str] = ()) -> FastMCP:
    """Return a server over the registry of the settings, of the named boxes only if any are named.

    Raises:
        SandboxMissing: The sandbox the settings name does not work here.
        NotFound: One of the named boxes is not there.
    """
    registry, runner = open_registry(settings), ToolRunner(choose_sandbox(settings))
    for name in boxes:
        registry.releases(name)
    provider = RegistryProvider(registry, runner, boxes)

    @asynccontextmanager
    async def lifespan(_: FastMCP) -> AsyncIterator[dict[str, Any]]:
        async with runner, announcing(provider, bus):
            yield {}

    server = FastMCP("boxwright", INSTRUCTIONS, version=__version__, providers=[provider], lifespan=lifespan)
    # a refused call is the client's affair, not an error of the server's
    logging.getLogger("fastmcp").setLevel(logging.CRITICAL)
    bus = fill_gaps(server, provider)
    return server


async def serve_stdio(server: FastMCP) -> None:
    """Serve one client over stdin and stdout until it goes."""
    await server.run_stdio_async(show_banner=False)


async def serve_http(server: FastMCP, host: str, port: int) -> None:
    """Serve over streamable HTTP at `/mcp`, stateless, until interrupted; port 0 takes a free one and prints it.

    Raises:
        BadInput: The port is in use, or may not be bound.
    """
    app = server.http_app(path="/mcp", stateless_http=True, json_response=True, host_origin_protection=True)
    with bound_socket(host, port) as listener:
        actual = listener.getsockname()[1]
        sys.stderr.write(f"boxwright serves MCP at http://{host}:{actual}/mcp\n")
        sys.stderr.flush()
        config = uvicorn.Config(app, log_level="warning", lifespan="on", ws="none", timeout_graceful_shutdown=5)
        await uvicorn.Server(config).serve(sockets=[listener])


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address, before anything is started on it.

    Raises:
        BadInput: The port is in use, or may not be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only for sockets that name their protocol: 40 ms a call otherwise
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise BadInput(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another port with --port, or 0 for a free one"
        ) from error
    return listener
