"""One step with eight samples and a vote, beside the same eight samples drawn and done one after the other.

    python benchmarks/self_consistency.py [ROUNDS]

The model is a script behind a real socket, whose every completion takes 0.3 seconds there; how well models vote is not
measured here. The tools are those of a real MCP server over stdio, which notes each execution. Two scripts: in one the
samples mostly agree on a call that changes nothing, in the other on one that does.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from boxwright.models import ChatModel
from boxwright.models.openai_api import OpenAiApi
from boxwright.traces import ActLanguage
from boxwright_student import Agent, Bounds, connect
from boxwright_student.mcp_tools import McpTools, ServerEntry
from servers import machine
from support.model_server import model_server

SAMPLES = 8
COMPLETION_SECONDS = 0.3

MULTIPLY = [("multiply", '{"left": 6, "right": 7}'), ("multiply", '{"right": 7, "left": 6}')]
OTHER = ("multiply", '{"left": 6, "right": 8}')
BOOK = ("book", '{"number": 42}')
CODE = [
    "```python\nfinal_answer(multiply(6, 7))\n```",
    "```python\nx = multiply(left=6, right=7)\nfinal_answer(x)\n```",
    "```python\nfinal_answer(str(multiply(6, 7)))\n```",
    "```python\nfinal_answer(multiply(6, 8))\n```",
]
SCRIPTS: dict[str, tuple[ActLanguage, list[dict[str, Any]]]] = {
    "calls that change nothing": (
        "tool-calls",
        [{"calls": [one]} for one in (*MULTIPLY * 2, MULTIPLY[0], OTHER, OTHER, BOOK)],
    ),
    "calls that change something": (
        "tool-calls",
        [{"calls": [one]} for one in (BOOK, OTHER, BOOK, BOOK, *MULTIPLY, BOOK, BOOK)],
    ),
    "code": ("code", [{"content": CODE[place % len(CODE)]} for place in range(SAMPLES)]),
}


@dataclass(frozen=True)
class Took:
    """What a way of doing a step took."""

    seconds: float
    executed: Counter[str]
    """Executions by call, as the server noted them."""


class Bench:
    """A model, tools, and the server's notes."""

    def __init__(self, model: ChatModel, tools: McpTools, log: Path) -> None:
        self._model, self._tools, self._log = model, tools, log

    async def measured(self, acts: ActLanguage, samples: Sequence[int]) -> Took:
        """Do one step after the other, each with as many samples as given."""
        self._log.write_text("")
        started = time.perf_counter()
        for seed, n in enumerate(samples):
            agent = Agent(self._model, self._tools, samples=n, acts=acts, seed=seed, bounds=Bounds(steps=1))
            await agent.run("What is 6 times 7?")
        seconds = time.perf_counter() - started
        return Took(seconds, Counter(self._log.read_text().splitlines()))


def report(name: str, one: list[Took], eight: list[Took], in_turn: list[Took]) -> bool:
    """Print what came of a script, and say whether what is promised holds."""
    seconds = [statistics.median(took.seconds for took in ways) for ways in (one, eight, in_turn)]
    executed, naive = eight[-1].executed, in_turn[-1].executed
    repeated = [max(0, count - 1) for took in eight for call, count in took.executed.items()]
    booked = [
        sum(count for call, count in took.executed.items() if "book" in call) for took in (eight[-1], in_turn[-1])
    ]
    print(f"{name}")
    print(f"  one sample {seconds[0]:.2f} s; {SAMPLES} and a vote {seconds[1]:.2f} s ({seconds[1] / seconds[0]:.2f}x); "
          f"{SAMPLES} in turn {seconds[2]:.2f} s")  # fmt: skip
    print(f"  executions: vote {executed.total()} of {len(naive)} distinct calls, in turn {naive.total()}; "
          f"that change something: vote {booked[0]}, in turn {booked[1]}")  # fmt: skip
    return seconds[1] < 2 * seconds[0] and not any(repeated)


async def main(rounds: int) -> int:
    """Measure every script; 1 where something promised does not hold."""
    print(f"{machine()}; {rounds} rounds, medians; each completion {COMPLETION_SECONDS} s")
    script: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        time.sleep(COMPLETION_SECONDS)
        return script[int(body["seed"]) % SAMPLES]

    held = []
    with tempfile.TemporaryDirectory() as folder, model_server(answer) as endpoint:
        log = Path(folder) / "executions.jsonl"
        server = str(Path(__file__).parent / "counting_server.py")
        entry = ServerEntry(command=sys.executable, args=[server, str(log)], trusted=True)
        async with connect({"counting": entry}) as tools:
            bench = Bench(OpenAiApi("scripted", f"{endpoint.url}/v1"), tools, log)
            for name, (acts, replies) in SCRIPTS.items():
                script[:] = replies
                await bench.measured(acts, [1])  # starts what is started once
                ways = ([1], [SAMPLES], [1] * SAMPLES)
                turns = [[await bench.measured(acts, way) for way in ways] for _ in range(rounds)]
                held.append(report(name, *(list(way) for way in zip(*turns, strict=True))))
    print(json.dumps({"under twice one sample, and nothing executed twice": all(held)}))
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)))
