"""MCP servers as the student reaches them: their entries, connections, tool names and results."""
