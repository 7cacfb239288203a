"""Who called what and how it ended: a JSON line for each call, and a span of its trace. Never the values."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools.base import ToolResult
from mcp_types import CallToolRequestParams
from opentelemetry import trace

from boxwright.box import Release
from boxwright.box.names import served_name
from boxwright.errors import BadInput
from boxwright_server.caller import caller

_LONGEST_NAME = 128
_noted: ContextVar[dict[str, Any] | None] = ContextVar("boxwright_noted", default=None)
_tracer = trace.get_tracer("boxwright")


@contextmanager
def noting(release: Release, tool: str, sandbox: str) -> Iterator[None]:
    """Note which release answers the call under way, in the audit log and as a span of the client's trace."""
    about = {"box": release.name, "version": release.version, "digest": release.digest, "called": tool}
    noted = _noted.get()
    if noted is not None:
        noted.update(about)
    attributes = {f"boxwright.{key}": value for key, value in about.items()}
    with _tracer.start_as_current_span(f"sandbox {served_name(release.name, tool)}", attributes=attributes) as span:
        span.set_attribute("boxwright.sandbox", sandbox)
        yield


def asked(name: str) -> None:
    """Note which tool `call_tool` was asked for, whether there is one or not."""
    noted = _noted.get()
    if noted is not None:
        noted["asked"] = name[:_LONGEST_NAME]


class Audit(Middleware):
    """Writes a line for each call of a tool, whatever became of it."""

    def __init__(self, path: Path) -> None:
        """Open the log.

        Raises:
            BadInput: The file cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handler = WatchedFileHandler(path, encoding="utf-8")  # opens anew where the file was rotated away
        except OSError as error:
            raise BadInput(f"cannot write the audit log {path}: {error.strerror}; choose another file") from error
        self._log = logging.Logger("boxwright.audit")
        self._log.addHandler(handler)

    async def on_call_tool(
        self, context: MiddlewareContext[CallToolRequestParams], call_next: CallNext[CallToolRequestParams, ToolResult]
    ) -> ToolResult:
        """See `Middleware.on_call_tool`."""
        row: dict[str, Any] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "client": caller()}
        arguments = context.message.arguments or {}
        row |= {"tool": context.message.name[:_LONGEST_NAME], "arguments": len(arguments)}
        row["argument_bytes"] = len(json.dumps(arguments, default=str))
        started, token = time.perf_counter(), _noted.set(row)
        row["outcome"] = "ok"
        try:
            return await call_next(context)
        except asyncio.CancelledError:
            row["outcome"] = "cancelled"
            raise
        except BaseException as error:
            row["outcome"] = type(error.__cause__ or error).__name__
            raise
        finally:
            _noted.reset(token)
            row["ms"] = round((time.perf_counter() - started) * 1e3, 1)
            self._log.info(json.dumps(row))
