"""Stopping without cutting anybody off: what is under way finishes, and `/health` says so."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from fastmcp import FastMCP
from sse_starlette.sse import AppStatus
from starlette.requests import Request
from starlette.responses import JSONResponse

from boxwright import __version__

_STREAMS_END = 0.7
"""Seconds that streams take to notice that they shall end."""


class Draining:
    """Whether the server was told to stop and only finishes what is under way."""

    def __init__(self) -> None:
        self.begun = False

    @contextmanager
    def on_signal(self, then: Callable[[], None]) -> Iterator[None]:
        """Begin at the signals that stop a server, and call `then`, before whoever else handles them.

        Where nobody does, nothing is done.
        """
        previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        handled = callable(previous[signal.SIGTERM])
        if not handled or threading.current_thread() is not threading.main_thread():
            yield
            return

        def begin(number: int, frame: FrameType | None) -> None:
            self.begun = True
            then()
            handler = previous[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)

        for number in previous:
            signal.signal(number, begin)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def end_streams_after(seconds: float) -> None:
    """End what is still answered by a stream shortly before the server gives up waiting for it."""
    asyncio.get_running_loop().call_later(max(0.0, seconds - _STREAMS_END), setattr, AppStatus, "should_exit", True)


def add_health(server: FastMCP, draining: Draining, sandbox: str) -> None:
    """Add `GET /health`: 200 while calls are taken, 503 once the server is told to stop. It needs no token."""

    @server.custom_route("/health", methods=["GET"])
    async def health(_: Request) -> JSONResponse:
        status = "draining" if draining.begun else "ok"
        body = {"status": status, "version": __version__, "sandbox": sandbox}
        return JSONResponse(body, status_code=503 if draining.begun else 200)
