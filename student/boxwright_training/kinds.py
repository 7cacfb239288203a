"""The kinds of span that a token of a trajectory can belong to."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Kind"]


class Kind(IntEnum):
    """What a token is part of. Only `REASON` and `ACT` are supervised; padding is `PROMPT`."""

    PROMPT = 0
    REASON = 1
    ACT = 2
    OBSERVE = 3
