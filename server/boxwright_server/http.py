"""Serving over streamable HTTP, by one process or by several behind one port."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastmcp import FastMCP
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from boxwright.errors import BadInput, BoxwrightError
from boxwright.registry import Pin, read_lock
from boxwright.settings import Settings
from boxwright_server.app import create_server
from boxwright_server.telemetry import export_traces

_REPLICA = "BOXWRIGHT_REPLICA"
"""Carries the settings, as JSON, to the processes of a server of several."""


def http_app(server: FastMCP, settings: Settings) -> ASGIApp:
    """Return the server as an ASGI application, stateless, with MCP at `/mcp`."""
    # at a signal it would cut off calls whose answer is a stream
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]
    return server.http_app(
        path="/mcp",
        stateless_http=True,
        host_origin_protection=True,
        allowed_hosts=list(settings.allowed_hosts),
        allowed_origins=list(settings.allowed_origins),
    )


async def serve_http(server: FastMCP, settings: Settings, host: str, port: int) -> None:
    """Serve at `/mcp` until interrupted; port 0 takes a free one, and the address is printed on stderr.

    Raises:
        BadInput: The port is in use, or may not be bound.
    """
    with _announced(host, port) as listener:
        config = _config(http_app(server, _named(settings, host)), settings)
        await uvicorn.Server(config).serve(sockets=[listener])


def serve_replicas(settings: Settings, host: str, port: int, replicas: int) -> None:
    """Serve as `serve_http` does, by several processes behind one port; one that dies is replaced.

    Raises:
        BadInput: The port is in use, or may not be bound.
    """
    with _announced(host, port) as listener:
        # the lock as it is now: a replica that is started again later serves what the others do
        pins = {name: pin.model_dump() for name, pin in read_lock(settings.lock).items()} if settings.lock else None
        os.environ[_REPLICA] = json.dumps({"settings": _named(settings, host).model_dump(mode="json"), "pins": pins})
        config = _config("boxwright_server.http:replica", settings, factory=True, workers=replicas)
        _Replicas(config, sockets=[listener]).run()


def replica() -> ASGIApp:
    """Return the application of one of several processes, with the settings its parent put into the environment."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: a replica does not outlive its parent
    given = json.loads(os.environ[_REPLICA])
    pins = None if given["pins"] is None else {name: Pin.model_validate(pin) for name, pin in given["pins"].items()}
    try:
        export_traces()
        settings = Settings.model_validate(given["settings"], strict=False)
        return http_app(create_server(settings, pins), settings)
    except BoxwrightError as error:
        sys.stderr.write(f"Error: {error}\n")
        raise SystemExit(STARTUP_FAILURE) from error


class _Replicas(Multiprocess):
    """Closes the port at once when it is told to stop: else who connects while its processes drain would wait."""

    def terminate_all(self) -> None:
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def _config(app: ASGIApp | str, settings: Settings, **more: Any) -> uvicorn.Config:
    drain = max(1, round(settings.drain_seconds))
    # Without proxy headers: anybody could say to come from anywhere, and have a rate of their own.
    return uvicorn.Config(
        app, log_level="warning", lifespan="on", ws="none", proxy_headers=False, timeout_graceful_shutdown=drain, **more
    )


def _named(settings: Settings, host: str) -> Settings:
    """Return the settings with the address that is listened on among the names the server answers to."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
        return settings
    return settings.model_copy(update={"allowed_hosts": (*settings.allowed_hosts, host)})


@contextmanager
def _announced(host: str, port: int) -> Iterator[socket.socket]:
    with bound_socket(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        sys.stderr.write(f"boxwright serves MCP at http://{shown}:{listener.getsockname()[1]}/mcp\n")
        sys.stderr.flush()
        yield listener


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens at the address, before anything is started on it.

    Raises:
        BadInput: The port is in use, or may not be bound.
    """
    if not host:
        raise BadInput("--host '' names no address; 0.0.0.0 stands for all of this machine's")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only for sockets that name their protocol: 40 ms a call otherwise
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)  # before the address is told to anybody: who connects at once waits instead of failing
    except OSError as error:
        listener.close()
        raise BadInput(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another port with --port (0 for a free one), or "
            "another address of this machine with --host"
        ) from error
    return listener
