"""An MCP server of the handshake era over stdio, in plain Python, to be run as a program: it starts at once.

ODD_LOG names a file that takes a line for every call. `grow` gives it another tool.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

LOG = os.environ.get("ODD_LOG")
tools = [
    {"name": name, "description": f"Does {name}.", "inputSchema": {"type": "object", "properties": {}}}
    for name in ("echo", "write", "grow")
]


def send(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def called(name: str, arguments: dict[str, Any]) -> str:
    if LOG:
        with Path(LOG).open("a") as log:
            log.write(f"{name}\n")
    if name == "grow":
        tools.append({**tools[0], "name": "grown"})
        send(method="notifications/tools/list_changed")
    return {"write": "written", "grow": "grew"}.get(name, f"{name} {arguments}")


def result_of(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    if method == "initialize":
        capabilities = {"tools": {"listChanged": True}}
        about = {"name": "old", "version": "1"}
        return {"protocolVersion": "2025-06-18", "capabilities": capabilities, "serverInfo": about}
    if method == "tools/list":
        return {"tools": tools}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": called(params["name"], params.get("arguments") or {})}]}
    return None


for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    found = result_of(request["method"], request.get("params") or {})
    if found is None:
        send(id=request["id"], error={"code": -32601, "message": "Method not found"})
    else:
        send(id=request["id"], result=found)
