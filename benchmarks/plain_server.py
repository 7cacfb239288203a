"""The peer of `calls.py`: the same function as a plain FastMCP tool, in process, without box or sandbox."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from fastmcp import FastMCP

TOOLS = Path(__file__).parent.parent / "boxes" / "library" / "game_of_24" / "1.0.0" / "tools.py"
spec = importlib.util.spec_from_file_location("tools", TOOLS)
assert spec is not None
assert spec.loader is not None
tools = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tools)
server = FastMCP("plain", version="1")
server.tool(tools.solve)

if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run(show_banner=False)
    else:
        server.run("http", port=int(sys.argv[1]), show_banner=False, stateless_http=True, log_level="error")
