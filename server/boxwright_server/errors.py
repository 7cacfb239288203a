"""The one place where our errors become MCP's. What a client reads is the message; tracebacks stay here."""

from __future__ import annotations

import logging

from fastmcp.exceptions import ToolError

from boxwright.errors import BoxwrightError, ModelMayRetry

logger = logging.getLogger(__name__)


def to_mcp_error(error: BoxwrightError) -> ToolError:
    """Return the error as a failed tool result.

    What the model may mend is said as it is. What it cannot is said too, since the person at the other end has to read
    it somewhere, and is logged here for whoever runs the server.
    """
    if not isinstance(error, ModelMayRetry):
        logger.error("%s: %s", type(error).__name__, error)
    return ToolError(str(error))
