"""What an agent's loop costs per step, beside smolagents' ToolCallingAgent and pydantic-ai's agent, above one floor.

Each agent talks to the same scripted endpoint and calls the same tool of the same MCP server, and in the same process
the same conversations are held by hand, in turn: what is above that floor is the agent's own. The peers need
environments of their own (smolagents wants mcp 1, pydantic-ai another openai); make them once, then name their folder:

    python -m venv PEERS/smolagents && PEERS/smolagents/bin/pip install 'smolagents[mcp,openai]' 'mcp<2'
    python -m venv PEERS/pydantic_ai && PEERS/pydantic_ai/bin/pip install 'pydantic-ai-slim[openai,mcp]'
    python benchmarks/agents.py PEERS
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from servers import machine

HERE = Path(__file__).parent / "peers"
STEPS, RUNS = 40, 5


def measure(name: str, python: str) -> dict[str, Any]:
    """Run one agent against an endpoint of its own and return what it printed."""
    endpoint = subprocess.Popen([sys.executable, HERE / "endpoint.py", str(STEPS)], stdout=subprocess.PIPE, text=True)
    try:
        assert endpoint.stdout is not None
        url = f"http://127.0.0.1:{int(endpoint.stdout.readline())}/v1"
        server = [sys.executable, str(HERE / "add_server.py")]
        command = [python, str(HERE / f"{name}_agent.py"), str(STEPS), str(RUNS), url, *server]
        environment = {**os.environ, "PYTHONPATH": str(HERE), "OPENAI_API_KEY": "none"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    finally:
        endpoint.kill()
        endpoint.wait()
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout))


def main() -> None:
    """Measure all and print a row for each."""
    peers = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    pythons = {"boxwright": sys.executable}
    for name in ("smolagents", "pydantic_ai"):
        found = peers / name / "bin" / "python" if peers else None
        if found and found.exists():
            pythons[name] = str(found)
        else:
            print(f"{name}: no environment; see the head of this file")
    print(machine())
    print(f"{'':12} {'step':>9} {'floor':>9} {'above it':>9} {'processor':>10} {'above it':>9} {'memory':>8}")
    above: dict[str, float] = {}
    for name, python in pythons.items():
        timed = measure(name, python)
        wall = [statistics.median(timed["seconds"][one]) * 1e3 for one in ("agent", "floor")]
        used = [statistics.median(timed["processor"][one]) * 1e3 for one in ("agent", "floor")]
        above[name] = wall[0] - wall[1]
        print(
            f"{name:12} {wall[0]:6.2f} ms {wall[1]:6.2f} ms {above[name]:6.2f} ms "
            f"{used[0]:7.2f} ms {used[0] - used[1]:6.2f} ms {timed['memory_mb']:5.0f} MB",
            flush=True,
        )
    best = min((value for name, value in above.items() if name != "boxwright"), default=None)
    if best:
        print(f"above the floor, ours is {above['boxwright'] / best:.2f} of the better peer's")


if __name__ == "__main__":
    main()
