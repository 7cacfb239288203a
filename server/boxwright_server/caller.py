"""What the request under way says of itself: who asks, which boxes they may use, and which release they pin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastmcp.server.dependencies import fastmcp_request_ctx, get_access_token
from fastmcp.utilities.versions import VersionSpec
from pydantic import ValidationError

from boxwright.errors import PinUnmet
from boxwright.registry import Pin

ALL_BOXES = "boxes"
"""The scope that permits every box; `box:NAME` permits one."""
STDIO = "stdio"
OURS = "boxwright"
"""The key under which `_meta` carries what is ours, in both directions."""


def caller() -> str:
    """Return who makes the request under way: the token's subject, else the address it comes from, else `stdio`."""
    token = get_access_token()
    if token is not None:
        return token.subject or token.client_id
    context = fastmcp_request_ctx.get()
    if context is None or context.request is None:
        return STDIO
    return context.request.client.host if context.request.client else "unknown"


def may_use(box: str) -> bool:
    """Say whether the caller may use the box. Without authentication everybody may."""
    token = get_access_token()
    return token is None or ALL_BOXES in token.scopes or f"box:{box}" in token.scopes


def wants_progress() -> bool:
    """Say whether the caller asked to be told how the call goes on."""
    return "progressToken" in _meta()


def pin(box: str) -> Pin:
    """Return the release of the box that the caller pins in `_meta`: `{"boxwright": {"version": …, "digest": …}}`.

    What a listed tool says of itself there may be given back as it is.

    Raises:
        PinUnmet: It is no pin, or one of another box; a pin that cannot be read is never taken for none.
    """
    ours = _meta().get(OURS, {})
    try:
        if not isinstance(ours, Mapping) or ours.get("box", box) != box:
            raise ValueError(f"no pin of box {box!r}")
        return Pin.model_validate({key: value for key, value in ours.items() if key not in ("box", "lifecycle")})
    except (ValidationError, ValueError, TypeError) as error:
        raise PinUnmet(
            f"_meta.{OURS} is {ours!r}, which is no pin of box {box!r}; it holds an exact version such as '1.0.0', a "
            "digest, or both"
        ) from error


def wanted_version() -> VersionSpec | None:
    """Return the version that the caller asks for in `_meta` in FastMCP's way: `{"fastmcp": {"version": …}}`.

    Raises:
        PinUnmet: It is no exact version. FastMCP would take it for none and run the newest release.
    """
    theirs = _meta().get("fastmcp", {})
    version = theirs.get("version") if isinstance(theirs, Mapping) else theirs
    if version is None and isinstance(theirs, Mapping):
        return None
    if not isinstance(theirs, Mapping) or not isinstance(version, str) or not version:
        raise PinUnmet(f"_meta.fastmcp.version is {version!r}; only an exact version can be asked for, such as '1.0.0'")
    return VersionSpec(eq=version)


def _meta() -> Mapping[str, Any]:
    context = fastmcp_request_ctx.get()
    return (context.meta if context is not None else None) or {}
