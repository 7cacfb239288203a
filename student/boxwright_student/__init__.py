"""The student: the agent loop, and running it over any MCP servers' tools. It reaches boxes only over MCP.

Names are imported when they are first used: `boxwright --help` imports this package, and MCP takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boxwright_student.agent import Agent, Bounds
    from boxwright_student.mcp_tools import McpTools, ServerEntry, box_server, connect, read_mcp_json
    from boxwright_student.toolset import NoTools, ToolOutcome, Toolset

__all__ = [
    "Agent",
    "Bounds",
    "McpTools",
    "NoTools",
    "ServerEntry",
    "ToolOutcome",
    "Toolset",
    "box_server",
    "connect",
    "read_mcp_json",
]

_MODULES = {
    "agent": ("Agent", "Bounds"),
    "mcp_tools": ("McpTools", "ServerEntry", "box_server", "connect", "read_mcp_json"),
    "toolset": ("NoTools", "ToolOutcome", "Toolset"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
