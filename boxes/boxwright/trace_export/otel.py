"""Trajectories as OpenTelemetry traces in OTLP's JSON: a line each, as its file exporter writes and collectors read.

Names and attributes follow the conventions for generative AI (open-telemetry/semantic-conventions-genai, docs/gen-ai:
gen-ai-agent-spans, gen-ai-spans, execute-tool; in development there), and are those of the student's live spans. The
form is opentelemetry-proto's JSON: ids in hexadecimal, 64-bit integers as strings, enumerations as numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from boxwright import __version__
from boxwright.jsontypes import Json, JsonObject, canonical, digest
from boxwright.models.base import Message, ToolCall
from boxwright.traces import Trajectory

_INTERNAL, _CLIENT = 1, 3
_ERROR = 2


def otlp_rows(trajectories: Iterable[Trajectory], *, content: bool) -> Iterator[JsonObject]:
    """Yield one `TracesData` for each trajectory: an attempt, its completions, and their calls.

    Where the messages' times were not kept, the spans below the attempt's have no length and stand in order.
    """
    for number, trajectory in enumerate(trajectories):
        yield {
            "resourceSpans": [
                {
                    "resource": {"attributes": _attributes({"service.name": "boxwright"})},
                    "scopeSpans": [
                        {
                            "scope": {"name": "boxwright.student", "version": __version__},
                            "spans": _Trace(trajectory, number, content).spans(),
                        }
                    ],
                }
            ]
        }


class _Trace:
    """One trajectory on its way to spans."""

    def __init__(self, trajectory: Trajectory, number: int, content: bool) -> None:
        self._of, self._content = trajectory, content
        # The number tells apart attempts that are alike to the last letter.
        self._id = digest([number, trajectory.model_dump(mode="json", exclude={"definitions"})])[7:39]
        provider, _, model = trajectory.model.partition("/")
        self._model = {
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model.partition("@")[0] or provider,
        }
        self._began = int(trajectory.started.timestamp() * 1e6) * 1000

    def spans(self) -> list[Json]:
        """Return the attempt's span and, below it, those of its steps in order."""
        found: list[Json] = [self._attempt()]
        before = 0
        for at, message in enumerate(self._of.messages):
            if message.role == "assistant":
                found.append(self._chat(at, before))
                found += [self._call(at, call) for call in message.tool_calls]
            before = at
        return found

    def _attempt(self) -> JsonObject:
        one = self._of
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "boxwright",
            **self._model,
            "gen_ai.usage.input_tokens": one.usage.prompt_tokens,
            "gen_ai.usage.output_tokens": one.usage.completion_tokens,
        }
        if self._content:
            system = [_text(message.content) for message in one.messages if message.role == "system"]
            attributes["gen_ai.system_instructions"] = canonical(system)
            attributes["gen_ai.input.messages"] = canonical([{"role": "user", "parts": [_text(one.prompt)]}])
        end = self._time(len(one.messages) - 1) if one.times else self._began + int(one.usage.seconds * 1e9)
        span = self._span("attempt", "invoke_agent boxwright", _INTERNAL, (self._began, end), attributes, root=True)
        return span if one.ended == "answered" else self._failed(span, one.ended)

    def _chat(self, at: int, before: int) -> JsonObject:
        message = self._of.messages[at]
        finish = "tool_call" if message.tool_calls else "stop"
        attributes: dict[str, Any] = {"gen_ai.operation.name": "chat", **self._model}
        if self._content:
            parts: list[Any] = [_text(message.content)] if message.content else []
            parts += [
                {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}
                for call in message.tool_calls
            ]
            attributes["gen_ai.output.messages"] = canonical(
                [{"role": "assistant", "parts": parts, "finish_reason": finish}]
            )
        name = f"chat {self._model['gen_ai.request.model']}"
        return self._span(f"chat {at}", name, _CLIENT, (self._time(before), self._time(at)), attributes)

    def _call(self, at: int, call: ToolCall) -> JsonObject:
        result_at = self._result_of(at, call)
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": call.id,
        }
        result = self._of.messages[result_at] if result_at is not None else None
        if self._content:
            attributes["gen_ai.tool.call.arguments"] = json.dumps(call.arguments)
            if result is not None:
                attributes["gen_ai.tool.call.result"] = result.content
        times = (self._time(at), self._time(at if result_at is None else result_at))
        span = self._span(f"call {at} {call.id}", f"execute_tool {call.name}", _INTERNAL, times, attributes)
        return self._failed(span, "tool_error") if _is_failure(result) else span

    def _result_of(self, at: int, call: ToolCall) -> int | None:
        rest = range(at + 1, len(self._of.messages))
        return next((one for one in rest if self._of.messages[one].tool_call_id == call.id), None)

    def _time(self, at: int) -> int:
        """Return when a message was there, in nanoseconds; a microsecond apart where nobody took the times."""
        times = self._of.times
        return self._began + (int(times[at] * 1e9) if at < len(times) else at * 1000)

    def _span(
        self, key: str, name: str, kind: int, times: tuple[int, int], attributes: dict[str, Any], *, root: bool = False
    ) -> JsonObject:
        span: JsonObject = {
            "traceId": self._id,
            "spanId": self._span_id(key),
            "name": name,
            "kind": kind,
            "startTimeUnixNano": str(times[0]),
            "endTimeUnixNano": str(max(times)),
            "attributes": _attributes(attributes),
            "status": {},
        }
        return span if root else span | {"parentSpanId": self._span_id("attempt")}

    def _span_id(self, key: str) -> str:
        return digest([self._id, key])[7:23]

    def _failed(self, span: JsonObject, why: str) -> JsonObject:
        attributes = span["attributes"]
        assert isinstance(attributes, list)
        return span | {"attributes": [*attributes, *_attributes({"error.type": why})], "status": {"code": _ERROR}}


def _is_failure(result: Message | None) -> bool:
    return result is not None and result.content.startswith("Error: ")


def _text(content: str) -> JsonObject:
    return {"type": "text", "content": content}


def _attributes(values: dict[str, Any]) -> list[Any]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: str | int) -> JsonObject:
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
