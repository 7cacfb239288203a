"""Who may call over HTTP: signed tokens with a scope for each box, and how often."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastmcp.server.auth import TokenVerifier
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.server.middleware import MiddlewareContext
from fastmcp.server.middleware.rate_limiting import RateLimitingMiddleware

from boxwright.errors import BadInput
from boxwright.settings import Settings
from boxwright_server.caller import caller

_MOST_CLIENTS = 10_000
"""Clients whose rates are remembered; past that all are forgotten, which forgives each a burst."""


def token_verifier(settings: Settings) -> TokenVerifier | None:
    """Return what verifies clients' tokens (JWT, RFC 7519), or None where the settings ask for no authentication.

    Raises:
        BadInput: The settings contradict each other, or name no key.
    """
    key, published = settings.auth_public_key or None, settings.auth_jwks_url or None
    if key is None and published is None:
        if settings.auth_issuer or settings.auth_audience:
            raise BadInput("an issuer or audience is set, but no key: set BOXWRIGHT_AUTH_PUBLIC_KEY or _AUTH_JWKS_URL")
        return None
    if key is not None and published is not None:
        raise BadInput("set BOXWRIGHT_AUTH_PUBLIC_KEY or BOXWRIGHT_AUTH_JWKS_URL, not both")
    return JWTVerifier(
        public_key=_pem(key) if key is not None else None,
        jwks_uri=published,
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
    )


def rate_limit(settings: Settings) -> RateLimitingMiddleware | None:
    """Return what limits each client's requests, or None where the settings ask for no limit."""
    if not settings.rate:
        return None

    def client(_: MiddlewareContext) -> str:
        if len(limits.limiters) > _MOST_CLIENTS:
            limits.limiters.clear()
        return caller()

    limits = RateLimitingMiddleware(settings.rate, get_client_id=client)
    return limits


def _pem(key: str) -> str:
    if "-----BEGIN" in key:
        return _checked(key)
    try:
        text = Path(key).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"  # without the value, which may be a secret
        raise BadInput(f"BOXWRIGHT_AUTH_PUBLIC_KEY is neither PEM text nor a file of it ({reason})") from error
    return _checked(text)


def _checked(text: str) -> str:
    try:
        load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput(
            "BOXWRIGHT_AUTH_PUBLIC_KEY is no public key; its PEM starts with -----BEGIN PUBLIC KEY-----"
        ) from error
    return text
