"""The student: the agent loop, and running it over any MCP servers' tools. It reaches boxes only over MCP."""

from boxwright_student.agent import Agent, Bounds
from boxwright_student.mcp_tools import McpTools, connect
from boxwright_student.toolset import NoTools, ToolOutcome, Toolset

__all__ = ["Agent", "Bounds", "McpTools", "NoTools", "ToolOutcome", "Toolset", "connect"]
