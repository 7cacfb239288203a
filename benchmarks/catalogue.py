"""A registry of 5,000 tools in three versions each: starting the server, its first list, a call, a search.

Run it with `python benchmarks/catalogue.py`. The peer is stock FastMCP with the same 5,000 tools in one version.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from fastmcp import Client, FastMCP
from fastmcp.tools import Tool

from boxwright.box.folder import files_digest
from boxwright.settings import Settings
from boxwright_server.app import create_server
from servers import box_server, machine

BOXES, TOOLS, VERSIONS = 1000, 5, ("1.0.0", "1.1.0", "2.0.0")
SUBJECTS = ("invoice", "tide", "orbit", "enzyme", "ledger", "bridge", "harvest", "voltage", "genome", "cargo")
DEEDS = ("estimate", "convert", "compare", "rank", "schedule")
NUMBER = {"type": "number", "description": "The quantity that is asked about."}
SCHEMA = {"type": "object", "properties": {"value": NUMBER}, "required": ["value"], "additionalProperties": False}


def write_registry(root: Path) -> None:
    """Write releases as publishing leaves them, without building each in the sandbox, which would take an hour."""
    for number in range(BOXES):
        home = root / f"{SUBJECTS[number % 10]}_{number}"
        for version in VERSIONS:
            _write_release(home / version, home.name, version)
            record = json.dumps({"digest": files_digest(home / version)})
            (home / f"{version}.record.json").write_text(record)


def _write_release(folder: Path, name: str, version: str) -> None:
    folder.mkdir(parents=True)
    about = f"Figures about {name.replace('_', ' number ')}"
    (folder / "box.toml").write_text(
        f'format = 1\nname = "{name}"\nversion = "{version}"\nsummary = "{about}"\ndescription = "{about}."\n'
        'license = "Apache-2.0"\n\n[provenance]\nmethod = "hand-written"\n'
    )
    source = "".join(f"def {deed}(value: float) -> float:\n    return value\n\n\n" for deed in DEEDS)
    (folder / "tools.py").write_text(source)
    (folder / "examples.jsonl").write_text("")
    (folder / "README.md").write_text(f"# {name}\n")
    tools = [
        {"name": deed, "description": f"{deed.title()} a quantity of {name.replace('_', ' number ')}.",
         "input_schema": SCHEMA, "output_schema": {"type": "number"},
         "annotations": {"readOnlyHint": True}}
        for deed in DEEDS
    ]  # fmt: skip
    (folder / "tools.json").write_text(json.dumps({"format": 1, "tools": tools}))


def stock() -> FastMCP:
    """Return stock FastMCP with as many tools, in one version."""
    server = FastMCP("stock", version="1")
    for number in range(BOXES):
        for deed in DEEDS:

            def tool(value: float) -> float:
                return value

            name = f"{SUBJECTS[number % 10]}_{number}__{deed}"
            server.add_tool(Tool.from_function(tool, name=name, description=f"{deed.title()} a quantity."))
    return server


async def seconds(action: Callable[[], Awaitable[Any]], times: int = 1) -> float:
    """Return the median seconds of the action."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        await action()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


async def started(make: Callable[[], FastMCP]) -> tuple[float, float]:
    """Return how long it takes to make and start a server, and its first list, from a client in the same process."""
    begun = time.perf_counter()
    async with Client(make()) as client:
        start = time.perf_counter() - begun
        return start, await seconds(client.list_tools)


async def over_http(registry: Path, home: Path, query: str) -> dict[str, float]:
    """Return the seconds over HTTP of a first list, of calls as the listing invites to them, and of searches."""
    environment = {"BOXWRIGHT_REGISTRY": str(registry), "BOXWRIGHT_HOME": str(home), "BOXWRIGHT_LIBRARY": "false"}
    with box_server(environment=environment) as (address, _):
        async with Client(address) as client:
            found = {"first list": await seconds(client.list_tools)}
            names = [tool.name for tool in await client.list_tools()]
            tool, arguments = "tide_1__rank", cast(dict[str, Any], {"value": 2.5})
            if "call_tool" in names:
                tool, arguments = "call_tool", {"name": tool, "arguments": arguments}
            assert "2.5" in str((await client.call_tool(tool, arguments)).content)
            found["call"] = await seconds(lambda: client.call_tool(tool, arguments), 300)
            if "find_tools" in names:
                found["first search"] = await seconds(lambda: client.call_tool("find_tools", {"query": query}))
                found["search"] = await seconds(lambda: client.call_tool("find_tools", {"query": query}), 20)
    return found


def _line(name: str, figures: dict[str, float]) -> None:
    print(f"{name:18}", "  ".join(f"{what} {taken * 1e3:.1f} ms" for what, taken in figures.items()), flush=True)


async def main() -> None:
    """Measure ours with all tools and with one box, then the peer."""
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        many, few = Path(folder) / "many", Path(folder) / "few"
        write_registry(many)
        _write_release(few / "tide_1" / "1.0.0", "tide_1", "1.0.0")
        (few / "tide_1" / "1.0.0.record.json").write_text(
            json.dumps({"digest": files_digest(few / "tide_1" / "1.0.0")})
        )
        settings = Settings(home=Path(folder) / "home", registry=many, library=False)
        start, listing = await started(lambda: create_server(settings))
        _line("5,000 x 3, ours", {"start": start, "first list": listing})
        query = "schedule the voltage of number 777"
        whole = await over_http(many, Path(folder) / "home", query)
        _line("  over HTTP", whole)
        small = await over_http(few, Path(folder) / "home-few", query)
        _line("one box, ours", small)
        print(f"a call takes {whole['call'] / small['call']:.2f} times as long as with one box")
    if "--no-peer" not in sys.argv:
        start, listing = await started(stock)
        _line("5,000, FastMCP", {"start": start, "first list": listing})


if __name__ == "__main__":
    asyncio.run(main())
