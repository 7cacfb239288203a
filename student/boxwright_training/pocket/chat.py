"""The pocket student's texts: what template.jinja renders, written in Python and cut where the student speaks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

TEMPLATE = (Path(__file__).parent / "template.jinja").read_text(encoding="utf-8").rstrip("\n")
"""The template as it goes into tokenizer_config.json and into GGUF."""
DEEPEST = 6
"""Below this, a schema is told as `any`: a recursive one would have no end."""
SPEAK = "<|im_start|>assistant\n"
"""What a prompt ends with: the student speaks next."""


class Piece(NamedTuple):
    """A stretch of the rendered text."""

    text: str
    spoken: bool
    """Whether the student wrote it: its call or answer up to and with `<|im_end|>`, the loss's full weight."""


def render(
    messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] = (), *, speak: bool = False
) -> list[Piece]:
    """Write a conversation as the template does, in pieces that are spoken or not.

    Args:
        messages: OpenAI messages; arguments of calls as objects or as JSON text.
        tools: OpenAI functions, bare or wrapped as `{"type": "function", "function": ...}`.
        speak: Whether to end with the words after which the student speaks (`add_generation_prompt`).
    """
    pieces, told = [], _system(messages, tools)
    for message in messages:
        content = message.get("content") or ""
        if message["role"] == "user":
            told += f"<|im_start|>user\n{content}<|im_end|>\n"
        elif message["role"] == "tool":
            told += f"<|im_start|>user\n<tool_response>{content}</tool_response><|im_end|>\n"
        elif message["role"] == "assistant":
            spoken = "\n".join([content] * bool(content) + [_call(call) for call in message.get("tool_calls") or ()])
            pieces += [Piece(told + SPEAK, False), Piece(spoken + "<|im_end|>", True)]
            told = "\n"
    told += SPEAK if speak else ""
    return [*pieces, Piece(told, False)] if told else pieces


def text_of(pieces: Sequence[Piece]) -> str:
    """Join the pieces."""
    return "".join(piece.text for piece in pieces)


def _system(messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> str:
    system = (messages[0].get("content") or "") if messages and messages[0]["role"] == "system" else ""
    if not system and not tools:
        return ""
    listed = "<tools>" + "".join(tell(tool.get("function", tool)) for tool in tools) + "\n</tools>"
    return "<|im_start|>system\n" + "\n".join([system] * bool(system) + [listed] * bool(tools)) + "<|im_end|>\n"


def _call(call: dict[str, Any]) -> str:
    function = call.get("function", call)
    arguments = function["arguments"]
    told = arguments if isinstance(arguments, str) else _json(arguments)
    return f'<tool_call>{{"name": {_json(function["name"])}, "arguments": {told}}}</tool_call>'


def tell(function: dict[str, Any]) -> str:
    """Tell a tool: its name, its description, and a line for each parameter."""
    schema = function.get("parameters") or {}
    defs, required = schema.get("$defs", {}), schema.get("required", ())
    lines = [f"\n# {function['name']}", *([f"\n{function['description']}"] if function.get("description") else ())]
    for name, parameter in schema.get("properties", {}).items():
        mark = "" if name in required else "?"
        lines.append(f"\n- {name}{mark}: {kind(parameter, defs)}{_limits(parameter)}")
    return "".join(lines)


def _limits(parameter: Any) -> str:
    if not isinstance(parameter, dict):
        return ""
    told = f" ({parameter['format']})" if "format" in parameter else ""
    for key, sign in (("minimum", ">="), ("maximum", "<="), ("default", "= ")):
        told += f" {sign}{_plain(parameter[key])}" if key in parameter else ""
    return told + (f". {parameter['description']}" if parameter.get("description") else "")


def kind(schema: Any, defs: dict[str, Any], depth: int = 0) -> str:
    """Tell what a schema allows, in the words of a signature: `[integer]`, `"a"|"b"`, `{x: number, y?: number}`."""
    if not isinstance(schema, dict) or depth > DEEPEST:
        return "any"
    if "$ref" in schema:
        name = schema["$ref"].split("/")[-1]
        return kind(defs[name], defs, depth + 1) if name in defs else "any"
    if "const" in schema:
        return _plain(schema["const"])
    if "enum" in schema:
        return "|".join(_plain(value) for value in schema["enum"])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return "|".join(kind(part, defs, depth + 1) for part in schema[union])
    if not isinstance(schema.get("type", "any"), str):
        return "|".join(schema["type"])
    return _typed(schema, defs, depth)


def _typed(schema: dict[str, Any], defs: dict[str, Any], depth: int) -> str:
    name: str = schema.get("type", "any")
    if name == "array":
        return f"[{kind(schema.get('items'), defs, depth + 1)}]"
    if name == "object" and "properties" in schema:
        required = schema.get("required", ())
        fields = (
            f"{key}{'' if key in required else '?'}: {kind(value, defs, depth + 1)}"
            for key, value in schema["properties"].items()
        )
        return "{" + ", ".join(fields) + "}"
    if name == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"{{*: {kind(schema['additionalProperties'], defs, depth + 1)}}}"
    return name


def _plain(value: Any) -> str:
    # llama.cpp writes 5.0 as 5, so everybody does.
    return str(int(value)) if isinstance(value, float) and value == int(value) and abs(value) < 1e9 else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
