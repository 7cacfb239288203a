"""Kept trajectories in the formats of others: chat messages of fine-tuning files, and OpenTelemetry's spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from boxwright.jsontypes import JsonObject
from boxwright.traces import Trajectory

FORMATS = ("openai", "otel")


def export(trajectories: Iterable[Trajectory], to: str, *, content: bool = False) -> Iterator[JsonObject]:
    """Yield one JSON object a line.

    Args:
        trajectories: What to export.
        to: One of `FORMATS`.
        content: For `otel`: with what was said and called, which may be private, and not only what it took.
    """
    if to == "openai":
        from boxwright.trace_export.openai import chat_rows

        yield from chat_rows(trajectories)
    else:
        from boxwright.trace_export.otel import otlp_rows

        yield from otlp_rows(trajectories, content=content)
