"""The one place where our errors become MCP's. What a client reads is the message; tracebacks stay here."""

from __future__ import annotations

import logging

from fastmcp.exceptions import ToolError

from boxwright.errors import BoxwrightError, ModelMayRetry, PinUnmet
from boxwright_server.caller import STDIO, caller

logger = logging.getLogger(__name__)


def to_mcp_error(error: BoxwrightError) -> ToolError:
    """Return the error as a failed tool result.

    What the caller may mend is said as it is. What it cannot is logged for whoever runs the server; over stdio that is
    the person at the other end, who is told too. To others it would tell of paths on this machine.
    """
    if isinstance(error, ModelMayRetry | PinUnmet):
        return ToolError(str(error))
    logger.error("%s: %s", type(error).__name__, error)
    if caller() == STDIO:
        return ToolError(str(error))
    return ToolError(
        f"the server cannot run this ({type(error).__name__}); whoever runs it finds the reason in its log"
    )
