"""What the request under way says of itself: who asks, which boxes they may use, and which release they pin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastmcp.server.dependencies import fastmcp_request_ctx, get_access_token
from pydantic import ValidationError

from boxwright.errors import PinUnmet
from boxwright.registry import Pin

ALL_BOXES = "boxes"
"""The scope that permits every box; `box:NAME` permits one."""
OURS = "boxwright"
"""The key under which `_meta` carries what is ours, in both directions."""


def caller() -> str:
    """Return who makes the request under way: the token's subject, else the address it comes from, else `stdio`."""
    token = get_access_token()
    if token is not None:
        return token.subject or token.client_id
    context = fastmcp_request_ctx.get()
    if context is None or context.request is None:
        return "stdio"
    return context.request.client.host if context.request.client else "unknown"


def may_use(box: str) -> bool:
    """Say whether the caller may use the box. Without authentication everybody may."""
    token = get_access_token()
    return token is None or ALL_BOXES in token.scopes or f"box:{box}" in token.scopes


def wants_progress() -> bool:
    """Say whether the caller asked to be told how the call goes on."""
    return "progressToken" in _meta()


def pin() -> Pin:
    """Return the release the caller pins in `_meta`, as `{"boxwright": {"version": …, "digest": …}}`.

    Raises:
        PinUnmet: It is no pin; a pin that cannot be read is never taken for none.
    """
    ours = _meta().get(OURS, {})
    version = _fastmcp_version()
    try:
        pinned = Pin.model_validate({key: value for key, value in dict(ours).items() if key != "box"})
    except (ValidationError, ValueError, TypeError) as error:
        raise PinUnmet(
            f"_meta.{OURS} is {ours!r}, which is no pin; it holds an exact version such as '1.0.0', a digest, or both"
        ) from error
    if version is not None and pinned.version not in (None, version):
        raise PinUnmet(f"the call pins version {pinned.version} and asks for version {version}")
    return pinned


def _fastmcp_version() -> str | None:
    # FastMCP ignores what is no string, and would run the newest release in place of the one that was meant
    theirs = _meta().get("fastmcp", {})
    version = theirs.get("version") if isinstance(theirs, Mapping) else theirs
    if version is not None and not isinstance(version, str):
        raise PinUnmet(f"_meta.fastmcp.version is {version!r}; only an exact version can be asked for, such as '1.0.0'")
    return version


def _meta() -> Mapping[str, Any]:
    context = fastmcp_request_ctx.get()
    return (context.meta if context is not None else None) or {}
