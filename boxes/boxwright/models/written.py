"""The tokens a model wrote, each with the likeliest ones in its place, as OpenAI's chat completions tell them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

_DECIMALS = 5
"""More than a 16-bit float holds, and half of what a server writes."""


class WrittenToken(BaseModel):
    """A token that a model wrote. Tokens are bytes here, a Latin-1 character for each: one can be part of a letter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: str
    logprob: float
    likeliest: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens in its place, itself among them or not, with their log-probabilities at temperature 1."""


def read_written(content: Iterable[Mapping[str, Any]]) -> tuple[WrittenToken, ...]:
    """Return the tokens of `choices[0].logprobs.content`; nothing where none has its likeliest (`top_logprobs`).

    What is impossible, for which some servers write null, is left out of the likeliest.

    Raises:
        KeyError: It is in another form; so are AttributeError, TypeError and ValueError.
    """
    written = tuple(
        WrittenToken(
            token=_bytes(one),
            logprob=round(one["logprob"], _DECIMALS),
            likeliest=tuple(
                (_bytes(other), round(other["logprob"], _DECIMALS))
                for other in one.get("top_logprobs") or ()
                if other["logprob"] is not None and math.isfinite(other["logprob"])
            ),
        )
        for one in content
    )
    return written if any(one.likeliest for one in written) else ()


def _bytes(told: Mapping[str, Any]) -> str:
    """Return a token's bytes; its text alone, which some servers give, cannot tell parts of letters."""
    return (bytes(told.get("bytes") or ()) or told["token"].encode("utf-8", "replace")).decode("latin-1")
