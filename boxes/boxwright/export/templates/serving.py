"""Pasted into an exported MCP server: serves the box's functions with FastMCP, under the schemas of its build."""

from typing import Any

from boxwright.export.templates.calling import _boxwright_call

# pasted from here on


def _boxwright_serve(functions: "dict[str, Any]", box: "dict[str, Any]") -> None:
    """Serve over stdin and stdout until the client goes."""
    import asyncio
    import json

    from fastmcp import FastMCP
    from fastmcp.exceptions import ToolError
    from fastmcp.tools import Tool
    from fastmcp.tools.base import ToolResult
    from mcp_types import ToolAnnotations

    tools = {tool["served"]: tool for tool in box["tools"]}

    class BoxTool(Tool):
        async def run(self, arguments: "dict[str, Any]") -> ToolResult:
            try:
                result = await asyncio.to_thread(_boxwright_call, functions, tools[self.name], arguments)
                text = result if isinstance(result, str) else json.dumps(result, allow_nan=False)
            except ValueError as error:
                raise ToolError(str(error)) from error
            except Exception as error:
                raise ToolError(f"{type(error).__name__}: {error}") from error
            whole = tools[self.name]["output_schema"].get("type") == "object"
            return ToolResult(content=text, structured_content=result if whole else {"result": result})

    server = FastMCP(box["name"], version=box["version"])
    for name, tool in tools.items():
        output = tool["output_schema"]
        if output.get("type") != "object":
            output = {"type": "object", "properties": {"result": output}, "required": ["result"]}
            output["x-fastmcp-wrap-result"] = True  # FastMCP's clients take the value out again
        server.add_tool(
            BoxTool(
                name=name,
                version=box["version"],
                description=tool["description"],
                parameters=tool["input_schema"],
                output_schema=output,
                annotations=ToolAnnotations.model_validate(tool["annotations"]),
                meta={"boxwright": {key: box[key] for key in ("name", "version", "digest")}},
            )
        )
    server.run(show_banner=False)
