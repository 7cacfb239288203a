"""Who called what: the audit log, and one trace with the client."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client

from boxwright.errors import BadInput, ExtraMissing
from boxwright.registry import open_registry
from boxwright.settings import Settings
from boxwright_server.app import create_server
from boxwright_server.telemetry import export_traces
from support.serving import serving

pytestmark = pytest.mark.usefixtures("sandbox")
SOLVE = "game_of_24__solve"
SECRET = 8_675_309


async def rows(settings: Settings, path: Path, *calls: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    async with Client(create_server(settings.model_copy(update={"audit_log": path}))) as client:
        for name, arguments in calls:
            await client.call_tool(name, arguments, raise_on_error=False)
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_each_call_is_a_line_without_values(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "audit.jsonl"
    found = await rows(
        settings,
        path,
        (SOLVE, {"numbers": [4, 9, 10, 13]}),
        (SOLVE, {"numbers": [SECRET]}),
        (SOLVE, {"numbers": "text"}),
        ("no__such", {"x" * 200: 1}),
        ("call_tool", {"name": SOLVE, "arguments": {"numbers": [1, 1, 1, 1]}}),
    )
    assert [row["outcome"] for row in found] == [
        "ok", "ToolRefused", "ArgumentsInvalid", "ToolUnknown", "ToolRefused",
    ]  # fmt: skip
    release = open_registry(settings).resolve("game_of_24")
    first = found[0]
    assert (first["tool"], first["box"], first["version"]) == (SOLVE, "game_of_24", "1.0.0")
    assert (first["digest"], first["called"], first["client"]) == (release.digest, "solve", "stdio")
    assert first["arguments"] == 1
    assert first["ms"] > 0
    assert found[4]["box"] == "game_of_24", "a call through call_tool names the box that answers"
    assert found[4]["asked"] == SOLVE
    assert "xxx" not in path.read_text()
    assert str(SECRET) not in path.read_text()
    assert "text" not in path.read_text()


async def test_a_log_that_was_rotated_away_is_opened_anew(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with Client(create_server(settings.model_copy(update={"audit_log": path}))) as client:
        await client.call_tool(SOLVE, {"numbers": [4, 9, 10, 13]})
        path.rename(tmp_path / "audit.1")
        await client.call_tool(SOLVE, {"numbers": [4, 9, 10, 13]})
    assert len(path.read_text().splitlines()) == 1


def test_a_log_that_cannot_be_written_is_told(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="choose another file"):
        create_server(settings.model_copy(update={"audit_log": tmp_path}))


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes what an OTLP exporter sends."""

    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A collector's address, and what reaches it."""
    bodies: list[bytes] = []
    handler = type("Handler", (Collector,), {"bodies": bodies})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()
        thread.join()


async def test_a_call_is_in_one_trace_with_its_client(
    collector: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra telemetry is not installed")
    from opentelemetry import trace
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.sdk.trace import TracerProvider

    address, bodies = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    with serving() as server:
        async with Client(server.url) as client:
            with trace.use_span(TracerProvider().get_tracer("test").start_span("agent")) as agent:
                await client.call_tool(SOLVE, {"numbers": [4, 9, 10, 13]})
    spans = [
        span
        for body in bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        if span.trace_id == agent.get_span_context().trace_id.to_bytes(16, "big")
    ]
    named = {span.name: span for span in spans}
    inner, outer = named[f"sandbox {SOLVE}"], named[f"tools/call {SOLVE}"]
    assert inner.parent_span_id == outer.span_id
    attributes = {one.key: one.value.string_value for one in inner.attributes}
    assert attributes["boxwright.version"] == "1.0.0"
    assert attributes["boxwright.sandbox"] == "bubblewrap"


def test_a_collector_without_the_exporter_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    export_traces({})
    with pytest.raises(ExtraMissing, match=r"pip install 'boxwright\[telemetry\]'"):
        export_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
