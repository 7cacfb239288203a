"""`rules`: no model at all. Picks a tool by the words it shares with the question and fills arguments by their type.

It is a labelled baseline and a stand-in where no model can run; nothing about any language model follows from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from boxwright.models.base import Completion, Request, RequestModel, ToolCall
from boxwright.search import rank

_NUMBER = r"-?\d+(?:\.\d+)?"
_RUN = re.compile(rf"{_NUMBER}(?:\s*(?:,\s*and|,|and)\s+{_NUMBER})+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TEXT = re.compile(r'"([^"]+)"|(\(*\d[\d.]*(?:\s*[-+*/%]+\s*\(*[\d.]+\)*)+)')


class Rules(RequestModel):
    """Calls the best-matching tool once, then answers with its result."""

    uri = "rules"
    label = "rules: not a language model"

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """See `RequestModel.answer_one`."""
        last = request.messages[-1]
        if last.role == "tool":
            return Completion(text=last.content)
        question = next(message for message in reversed(request.messages) if message.role == "user").content
        texts = {tool.name: f"{tool.name} {tool.description}" for tool in request.tools}
        parameters = {tool.name: tool.parameters for tool in request.tools}
        for name in rank(question, texts):
            arguments = _fill(parameters[name], question)
            if arguments is not None:
                return Completion(
                    tool_calls=(ToolCall(id="call_0", name=name, arguments=arguments),), finish="tool_calls"
                )
        return Completion(text="No tool applies, and I cannot compute.")


def _fill(schema: dict[str, Any], question: str) -> dict[str, Any] | None:
    """Return arguments for the required parameters from what the question holds, or None where something lacks."""
    stock = {
        "dates": iter(_DATE.findall(question)),
        "lists": iter([re.findall(_NUMBER, match[0]) for match in _RUN.finditer(question)]),
        "numbers": iter(re.findall(_NUMBER, _RUN.sub(" ", _DATE.sub(" ", question)))),
        "texts": iter([quoted or sum_ for quoted, sum_ in _TEXT.findall(question)]),
    }
    arguments = {}
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        value = _value(known.get(name), stock)
        if value is None:
            return None
        arguments[name] = value
    return arguments


def _value(schema: Any, stock: dict[str, Iterator[Any]]) -> Any:
    if not isinstance(schema, dict):  # a parameter that is not described, or `true`
        return None
    kind = schema.get("type")
    if schema.get("enum"):
        return schema["enum"][0]
    if kind == "array":
        found, items = next(stock["lists"], None), schema.get("items")
        of = items.get("type") if isinstance(items, dict) else None
        return None if found is None else [_number(one, of) for one in found]
    if kind in ("integer", "number"):
        found = next(stock["numbers"], None)
        return None if found is None else _number(found, kind)
    if kind == "string":
        return next(stock["dates"], None) or next(stock["texts"], None)
    return None


def _number(text: str, kind: str | None) -> int | float | str:
    if kind == "string":
        return text
    return float(text) if "." in text and kind != "integer" else int(float(text))
