"""JSON as this project writes it: the value type, its canonical form and its digests. No files here."""

from __future__ import annotations

import hashlib
import json
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = dict[str, Json]


def canonical(value: object) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, ASCII only, no NaN.

    This text is a contract: digests of releases, requests and runs are taken over it.

    Raises:
        ValueError: The value holds NaN or an infinity.
        TypeError: The value holds something JSON has no form for.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest_bytes(content: bytes) -> str:
    """Return `sha256:` and the hexadecimal SHA-256 of the bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def digest(value: object) -> str:
    """Return the tagged SHA-256 of the value's canonical text."""
    return digest_bytes(canonical(value).encode())


def pretty(value: object) -> str:
    """Return JSON for people and for git: indented, in the given key order, with a newline at its end."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _near(left: float, right: float, tolerance: float) -> bool:
    try:
        return abs(left - right) <= tolerance * max(1.0, abs(left), abs(right))
    except OverflowError:  # integers beyond any float
        return False


def same(left: Json, right: Json, tolerance: float = 0.0) -> bool:
    """Say whether two JSON values are equal, numbers within a tolerance (absolute or relative, whichever is wider).

    1 and 1.0 are equal; true and 1 are not.
    """
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left == right or _near(left, right, tolerance)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b, tolerance) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key], tolerance) for key in left)
    return type(left) is type(right) and left == right
