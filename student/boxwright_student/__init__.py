"""The student: the agent loop, and running it over any MCP servers' tools. It reaches boxes only over MCP.

Names are imported when they are first used: `boxwright --help` imports this package, and MCP takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boxwright_student.agent import Agent, Bounds
    from boxwright_student.mcp_tools import McpTools, connect
    from boxwright_student.toolset import NoTools, ToolOutcome, Toolset

__all__ = ["Agent", "Bounds", "McpTools", "NoTools", "ToolOutcome", "Toolset", "connect"]

_MODULES = {"Agent": "agent", "Bounds": "agent", "McpTools": "mcp_tools", "connect": "mcp_tools"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'toolset')}"), name)
