"""Puts the server together: a registry, a sandbox, and what clients may do with them."""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastmcp import FastMCP

from boxwright import __version__
from boxwright.registry import Pin, open_registry, read_lock
from boxwright.registry.catalogue import Catalogue, index_file
from boxwright.sandbox import ToolRunner, choose_sandbox
from boxwright.settings import Settings
from boxwright_server.access import rate_limit, token_verifier
from boxwright_server.audit import Audit
from boxwright_server.caller import may_use
from boxwright_server.discovery import search_tools
from boxwright_server.draining import Draining, add_health, end_streams_after
from boxwright_server.gaps import fill_gaps
from boxwright_server.provider import RegistryProvider
from boxwright_server.selection import Selection
from boxwright_server.telemetry import flush_traces

INSTRUCTIONS = (
    "Each tool computes something exactly. When a task needs a computation that a tool does, call the tool and answer "
    "with its result instead of computing yourself. Where only find_tools and call_tool are listed, find a tool first. "
    "A failed call says what to change."
)


def create_server(settings: Settings, pins: Mapping[str, Pin] | None = None) -> FastMCP:
    """Return a server over the registry of the settings; `pins` stand in for the settings' lock file, read before.

    Raises:
        SandboxMissing: The sandbox the settings name does not work here.
        NotFound: A box the settings name is not there.
        PinUnmet: A pin of the lock cannot be met.
        BadInput: The lock, the key or the audit log cannot be used.
    """
    lock = read_lock(settings.lock) if settings.lock and pins is None else pins
    runner = ToolRunner(choose_sandbox(settings))
    selection = Selection(open_registry(settings), settings.boxes, lock, may_use=may_use)
    selection.check()
    provider = RegistryProvider(selection, runner, listing=settings.listing, listing_tokens=settings.listing_tokens)
    catalogue = Catalogue(
        lambda: Selection(open_registry(settings), settings.boxes, lock),
        None if settings.boxes or lock else index_file(settings),  # that of a part is made anew, in memory
    )
    provider.search_tools = search_tools(provider, catalogue)

    draining = Draining()

    def drain() -> None:
        announcements.end()
        end_streams_after(settings.drain_seconds)

    @asynccontextmanager
    async def lifespan(_: FastMCP) -> AsyncIterator[dict[str, Any]]:
        try:
            async with runner, announcements.watching():
                with draining.on_signal(drain):
                    yield {}
        finally:
            catalogue.close()
            flush_traces()

    server = FastMCP(
        "boxwright",
        INSTRUCTIONS,
        version=__version__,
        providers=[provider],
        lifespan=lifespan,
        auth=token_verifier(settings),
        mask_error_details=True,
        dereference_schemas=False,  # the schemas of boxes hold no references
    )
    # a refused call is the client's affair, not an error of the server's
    logging.getLogger("fastmcp").setLevel(logging.CRITICAL)
    if settings.audit_log:
        server.add_middleware(Audit(settings.audit_log))
    if limits := rate_limit(settings):
        server.add_middleware(limits)
    announcements = fill_gaps(server, provider)
    add_health(server, draining, runner.sandbox.name)
    return server


async def serve_stdio(server: FastMCP) -> None:
    """Serve one client over stdin and stdout until it goes."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the thread that waits for stdin would outlast a KeyboardInterrupt
    await server.run_stdio_async(show_banner=False)
