"""Tools for models whose server takes none: told in the system message, called in the text, answered as a user's turn.

The form is that of Hermes and Qwen (`<tools>`, `<tool_call>`, `<tool_response>`), on which most small
models were trained.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from boxwright.models import Message, ToolCall, ToolDefinition
from boxwright.models.wire import wire_tool
from boxwright_student.calls.reading import NO_TOOL

_INSTRUCTIONS = """# Tools

You may call one or more functions to help with the user's request. Their signatures are within <tools></tools>:
<tools>
{tools}
</tools>

For each call, write a JSON object with the function's name and its arguments within <tool_call></tool_call>:
<tool_call>
{{"name": <function name>, "arguments": <object of arguments>}}
</tool_call>

Use the names exactly as they are written above. If no function helps, answer without a call."""


def tool_instructions(tools: Sequence[ToolDefinition]) -> str:
    """Return the text that tells a model its tools and how to call them."""
    listed = "\n".join(json.dumps(wire_tool(tool), ensure_ascii=False) for tool in tools)
    return _INSTRUCTIONS.format(tools=listed)


def prompted(messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> list[Message]:
    """Return a conversation in plain messages: instructions in the system message, calls and results as text.

    Results of one turn come together in one user's message, in the order of the calls.
    """
    plain: list[Message] = []
    for message in messages:
        if message.role != "tool":
            content = "\n".join([*([message.content] if message.content else []), *map(_call, message.tool_calls)])
            plain.append(Message(role=message.role, content=content))
            continue
        answer = f"<tool_response>\n{message.content}\n</tool_response>"
        if plain and plain[-1].role == "user" and plain[-1].name == "tool":
            plain[-1] = plain[-1].model_copy(update={"content": f"{plain[-1].content}\n{answer}"})
        else:
            plain.append(Message(role="user", content=answer, name="tool"))
    plain = [message.model_copy(update={"name": ""}) for message in plain]
    return _with_instructions(plain, tool_instructions(tools)) if tools else plain


def call_schema(tools: Sequence[ToolDefinition]) -> dict[str, Any]:
    """Return the JSON Schema of one call, for servers that constrain what is decoded.

    The last choice is to call nothing: `{"name": "no_tool", "arguments": {"answer": …}}`, which `read_calls` gives
    back as text.
    """
    definitions: dict[str, Any] = {}
    choices = [_choice(tool.name, _hoisted(tool, definitions)) for tool in tools]
    answer = {
        "type": "object",
        "properties": {"answer": {"type": "string"}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    schema: dict[str, Any] = {"anyOf": [*choices, _choice(NO_TOOL, answer)]}
    return {**schema, "$defs": definitions} if definitions else schema


def _with_instructions(messages: list[Message], instructions: str) -> list[Message]:
    if messages and messages[0].role == "system":
        joined = f"{messages[0].content}\n\n{instructions}"
        return [messages[0].model_copy(update={"content": joined}), *messages[1:]]
    return [Message(role="system", content=instructions), *messages]


def _call(call: ToolCall) -> str:
    """Return a call as text; one that could not be read stays as it was written."""
    if call.fault:
        return f"<tool_call>\n{call.raw}\n</tool_call>"
    written = json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)
    return f"<tool_call>\n{written}\n</tool_call>"


def _choice(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _hoisted(tool: ToolDefinition, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a tool's schema for a place inside another one: if it refers to its own parts, these move to the root."""
    if '"$ref"' not in json.dumps(tool.parameters):
        return tool.parameters
    place = tool.name.replace("~", "~0").replace("/", "~1")
    definitions[tool.name] = _referring(tool.parameters, f"#/$defs/{place}")
    return {"$ref": f"#/$defs/{place}"}


def _referring(schema: Any, root: str) -> Any:
    if isinstance(schema, list):
        return [_referring(one, root) for one in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {key: _referring(held, root) for key, held in schema.items()}
    reference = moved.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        moved["$ref"] = root + reference.removeprefix("#")
    return moved
