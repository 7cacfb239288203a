"""`--to openai`: the box's tools as the `tools` of OpenAI's chat completions. Definitions only: no code goes along."""

from __future__ import annotations

from typing import Any

from boxwright.box.release import Release
from boxwright.jsontypes import pretty


def openai_tools(release: Release) -> dict[str, bytes]:
    """Return the definitions as one JSON file, under the names by which Boxwright serves the tools."""
    tools = [
        {
            "type": "function",
            "function": {
                "name": release.served(tool),
                "description": tool.description,
                "parameters": tool.input_schema,
                "strict": is_strict(tool.input_schema),
            },
        }
        for tool in release.tools
    ]
    return {f"{release.name}.openai.json": pretty(tools).encode()}


def is_strict(schema: dict[str, Any]) -> bool:
    """Say whether a schema is in the subset that OpenAI enforces: every property required, none beside, no defaults."""
    if "anyOf" in schema:
        return all(is_strict(one) for one in schema["anyOf"])
    if "type" not in schema or "default" in schema:
        return False
    if schema["type"] == "array":
        return "items" in schema and is_strict(schema["items"])
    if schema["type"] != "object":
        return True
    properties = schema.get("properties", {})
    closed = schema.get("additionalProperties") is False and set(schema.get("required", ())) == set(properties)
    return closed and all(is_strict(one) for one in properties.values())
