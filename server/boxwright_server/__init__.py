"""The box server: FastMCP over a registry, for any MCP client."""
