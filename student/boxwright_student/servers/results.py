"""From an MCP result to the text a model reads: bounded, and with a word for what it cannot be shown."""

from __future__ import annotations

import json
from typing import Any

from mcp_types import BlobResourceContents, CallToolResult, ContentBlock, EmbeddedResource, Tool

from boxwright_student.toolset import ToolOutcome

MOST_CHARACTERS = 250_000
"""The longest text that is handed on: at most 1 MB, since a character takes up to four bytes."""
_WRAPPED = "x-fastmcp-wrap-result"
"""Marks an output schema whose one property, `result`, is the tool's real result (FastMCP, and our own server)."""


def read_result(result: CallToolResult, tool: Tool) -> ToolOutcome:
    """Return what came of a call: its blocks as text, else its structured content as JSON, and that as a value too."""
    value = result.structured_content
    if isinstance(value, dict) and is_wrapped(tool):
        value = value.get("result")
    texts = [_block(block) for block in result.content]
    if not texts and result.structured_content is not None:
        texts = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
    text = bounded("\n".join(texts)) or "(the tool gave no result)"
    failed = bool(result.is_error)
    return ToolOutcome(text, failed=failed, value=None if failed else value)


def is_wrapped(tool: Tool) -> bool:
    """Say whether the tool's structured content only wraps its result, since MCP wants an object there."""
    return bool((tool.output_schema or {}).get(_WRAPPED))


def output_schema(tool: Tool) -> dict[str, Any] | None:
    """Return the schema of the value that `read_result` gives."""
    if is_wrapped(tool) and tool.output_schema:
        inner = tool.output_schema.get("properties", {}).get("result")
        return inner if isinstance(inner, dict) else None
    return tool.output_schema


def bounded(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return the text, or its head and tail with a word on how much is left out between them."""
    if len(text) <= most:
        return text
    head = most * 2 // 3
    return f"{text[:head]}\n[… {len(text) - most} characters left out …]\n{text[len(text) - most + head :]}"


def _block(block: ContentBlock) -> str:
    if block.type == "text":
        return block.text
    if block.type == "image" or block.type == "audio":
        return _unseen(block.mime_type, block.data)
    if block.type == "resource_link":
        return f"[{block.uri}: {block.title or block.name}, {block.mime_type or 'a resource'}: not read]"
    return _resource(block)


def _resource(block: EmbeddedResource) -> str:
    inner = block.resource
    if isinstance(inner, BlobResourceContents):
        return _unseen(f"{inner.uri}, {inner.mime_type or 'binary'}", inner.blob)
    return f"[{inner.uri}]\n{inner.text}"


def _unseen(what: str, base64: str) -> str:
    size = len(base64) * 3 // 4
    return f"[{what}, {f'{size / 1000:.0f} kB' if size >= 1000 else f'{size} bytes'}: not shown to this model]"
