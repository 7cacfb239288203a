"""Exporting traces (OpenTelemetry, OTLP over HTTP), where the standard `OTEL_…` variables ask for it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from opentelemetry import trace

from boxwright.errors import ExtraMissing

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def export_traces(environment: Mapping[str, str] = os.environ) -> None:
    """Send this process's spans to the collector that the environment names; without one, do nothing.

    Spans of calls join the client's trace, whose context MCP carries in `_meta`.

    Raises:
        ExtraMissing: A collector is named and the exporter is not installed.
    """
    if not any(environment.get(name) for name in _ENDPOINTS):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ExtraMissing("exporting traces", "telemetry") from error
    name = environment.get("OTEL_SERVICE_NAME", "boxwright")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def flush_traces() -> None:
    """Send what has not been sent yet; a process that ends by a signal does not do so itself."""
    flush = getattr(trace.get_tracer_provider(), "force_flush", None)
    if flush is not None:
        flush(2000)  # milliseconds; a collector that does not answer must not keep the server
