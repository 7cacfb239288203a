"""Spans of attempts, completions and calls, after OpenTelemetry's conventions for generative AI.

Only the API is used: without an SDK that a program has set up, these cost next to nothing and go nowhere. Names and
attributes: open-telemetry/semantic-conventions, docs/gen-ai (gen-ai-agent-spans, gen-ai-spans), version 1.41. What is
said and called is not recorded, since it may be private; the trajectory holds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from boxwright.models import Completion, ToolCall

_TRACER = trace.get_tracer("boxwright.student")


class Ended:
    """A span that is told how it ended."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def completed(self, completions: list[Completion]) -> None:
        """Note what the completions took."""
        if not self._span.is_recording():
            return
        self._span.set_attribute("gen_ai.usage.input_tokens", sum(one.usage.prompt_tokens for one in completions))
        self._span.set_attribute("gen_ai.usage.output_tokens", sum(one.usage.completion_tokens for one in completions))
        self._span.set_attribute("gen_ai.response.finish_reasons", [one.finish for one in completions])

    def ended(self, failed: bool, why: str = "tool_error") -> None:
        """Note whether what the span is about failed."""
        if failed:
            self._span.set_attribute("error.type", why)
            self._span.set_status(Status(StatusCode.ERROR))


@contextmanager
def attempt_span(model: str) -> Iterator[Ended]:
    """Open the span of an attempt."""
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "boxwright", **_model(model)}
    with _TRACER.start_as_current_span("invoke_agent boxwright", kind=SpanKind.INTERNAL, attributes=attributes) as span:
        yield Ended(span)


@contextmanager
def chat_span(model: str) -> Iterator[Ended]:
    """Open the span of one request to the model."""
    attributes = {"gen_ai.operation.name": "chat", **_model(model)}
    name = f"chat {attributes['gen_ai.request.model']}"
    with _TRACER.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes) as span:
        yield Ended(span)


@contextmanager
def tool_span(call: ToolCall) -> Iterator[Ended]:
    """Open the span of one tool call."""
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": call.name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": call.id,
    }
    name = f"execute_tool {call.name}"
    with _TRACER.start_as_current_span(name, kind=SpanKind.INTERNAL, attributes=attributes) as span:
        yield Ended(span)


def _model(uri: str) -> dict[str, str]:
    provider, _, model = uri.partition("/")
    return {"gen_ai.provider.name": provider, "gen_ai.request.model": model.partition("@")[0] or provider}
