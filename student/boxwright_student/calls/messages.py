"""Words what a model is told of a call that was not made: what was wrong, and the call to write instead."""

from __future__ import annotations

import json
import re
from typing import Any

from boxwright.models import ToolDefinition
from boxwright_student.calls.schemas import Schema

_HEAD = "The call{} was not made"
WITHIN_THINKING = "The calls stand within your thinking, so none was made"
_HEADS = re.compile(rf"(?:{_HEAD.format('(?: of .+)?')}|{WITHIN_THINKING})\.")


def skeleton(tool: ToolDefinition, arguments: dict[str, Any]) -> str:
    """Return the call to write: the arguments that are right, and `<…>` for those required that are not there."""
    schema = Schema(tool.parameters)
    top = schema.follow(schema.root)
    properties = top.get("properties", {})
    members = {key: json.dumps(value, ensure_ascii=False) for key, value in arguments.items() if key in properties}
    for key in top.get("required", ()):
        members.setdefault(key, schema.placeholder(properties.get(key, {})))
    inner = ", ".join(f"{json.dumps(key, ensure_ascii=False)}: {held}" for key, held in members.items())
    return f'{{"name": {json.dumps(tool.name)}, "arguments": {{{inner}}}}}'


def fault_message(name: str, problems: list[str], tool: ToolDefinition | None, arguments: dict[str, Any]) -> str:
    """Return what a model is told of a call that was not made.

    Args:
        name: The tool that was meant, or nothing where that is not known.
        problems: What is wrong: each names the argument, what was got and what is wanted.
        tool: The tool whose call shall be written.
        arguments: The arguments that are right already.
    """
    head = _HEAD.format(f" of {name!r}" if name else "")
    lines = [f"{head}.", *(f"- {problem}" for problem in problems)]
    if tool:
        lines.append(f"Write it again, with the <…> filled in: {skeleton(tool, arguments)}")
    else:
        lines.append('Write it again as: {"name": "<tool>", "arguments": {"<argument>": <value>}}')
    return "\n".join(lines)


def tells_of_fault(text: str) -> bool:
    """Say whether a text begins as what a model is told of a call that was not made."""
    return _HEADS.match(text) is not None
