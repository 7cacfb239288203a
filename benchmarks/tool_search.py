"""Tool search on LiveMCPBench (70 servers, 527 tools, 48 annotated tasks): ours beside FastMCP's BM25SearchTransform.

    python benchmarks/tool_search.py FOLDER      # the folder with LiveMCPBench's tools.json and annotations.json

Recall at 5 and at 10 is the share of a query's annotated tools among the first results, averaged over a task's queries
and then over tasks. There are two kinds of query: a task's whole question, with all its tools; and its steps, each with
the tool of the same number. What counts:

- An annotated name is found when any server's tool of exactly that name is among the results. Names that are in no
  server are left out, and listed; a query of which no name is left is left out.
- Steps without a tool of their number, and the other way round, are left out. Annotators did not always number both
  alike, so some steps are asked for a tool that is not theirs: no search can reach 100.
- FastMCP sees each tool as a server that mounts them all would show it: its name with the server's before it. It is
  asked through its own search tool, with the same queries. It has no place for a server's summary, so ours is also
  measured without summaries, and FastMCP's with them put behind every description.

Our weights and lists of words were chosen by reasoning, on the tasks of even places, and on another data set (BFCL's
functions in one catalogue). The tasks of odd places are shown apart. They are no clean test: their totals, not their
queries, were looked at on the way. A half has 24 tasks, so that one task is 4 points.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from fastmcp import FastMCP
from fastmcp.server.transforms.search import BM25SearchTransform
from fastmcp.server.transforms.search.base import serialize_tools_for_output_markdown
from fastmcp.tools.base import Tool

from boxwright.search import ReleaseTexts, ToolIndex, ToolTexts

Search = Callable[[str], Awaitable[list[str]]]
CUTS = (5, 10)


@dataclass(frozen=True)
class Query:
    """A text and the names of the tools it should find."""

    text: str
    tools: frozenset[str]


@dataclass(frozen=True)
class Task:
    """The queries of one annotated task."""

    question: list[Query]
    steps: list[Query]


def load_catalogue(folder: Path) -> list[ReleaseTexts]:
    """Read `tools.json`: a server stands for a release of a box."""
    servers = json.loads((folder / "tools.json").read_text(encoding="utf-8"))
    return [
        ReleaseTexts(
            name,
            "1",
            tuple(ToolTexts(one["name"], one["description"] or "", one["inputSchema"]) for one in listed["tools"]),
            f"{server['name']} {server['description']}",
        )
        for server in servers
        for name, listed in server["tools"].items()
    ]


def load_tasks(folder: Path, known: set[str]) -> tuple[list[Task], list[str]]:
    """Read `annotations.json`; return the tasks, and the annotated names that no server has."""
    tasks: list[Task] = []
    missing: list[str] = []
    for row in json.loads((folder / "annotations.json").read_text(encoding="utf-8")):
        notes = row["Annotator Metadata"]
        tools, steps = numbered(notes["Tools"]), numbered(notes["Steps"])
        missing += [name for name in tools.values() if name not in known]
        tools = {number: name for number, name in tools.items() if name in known}
        question = [Query(row["Question"], frozenset(tools.values()))] if tools else []
        matched = [Query(text, frozenset({tools[number]})) for number, text in steps.items() if number in tools]
        tasks.append(Task(question, matched))
    return tasks, missing


def numbered(text: str) -> dict[int, str]:
    """Read lines such as `2. geocode_address`."""
    return {int(number): line for number, line in re.findall(r"^\s*(\d+)\s*[.)]\s*(.*\S)", text, re.MULTILINE)}


def replicate(catalogue: list[ReleaseTexts], tools: int) -> list[ReleaseTexts]:
    """Return the catalogue again and again under other server names, cut to a number of tools."""
    copies = (
        ReleaseTexts(f"{one.box}_{number}", one.release, one.tools, one.about)
        for number in count(1)
        for one in catalogue
    )
    taken: list[ReleaseTexts] = []
    while (left := tools - sum(len(one.tools) for one in taken)) > 0:
        one = next(copies)
        taken.append(ReleaseTexts(one.box, one.release, one.tools[:left], one.about))
    return taken


def without_summaries(catalogue: list[ReleaseTexts]) -> list[ReleaseTexts]:
    """Return the catalogue with servers' names alone."""
    return [ReleaseTexts(one.box, one.release, one.tools) for one in catalogue]


def summaries_in_tools(catalogue: list[ReleaseTexts]) -> list[ReleaseTexts]:
    """Return the catalogue with each server's summary behind its tools' descriptions."""
    return [
        ReleaseTexts(
            one.box,
            one.release,
            tuple(ToolTexts(tool.name, f"{tool.description} {one.about}", tool.schema) for tool in one.tools),
        )
        for one in catalogue
    ]


def ours(catalogue: list[ReleaseTexts]) -> Search:
    """Return the search of `boxwright.search` over a catalogue."""
    index = ToolIndex()
    index.add(catalogue)

    async def search(query: str) -> list[str]:
        return [found.tool for found in index.search(query, CUTS[-1])]

    return search


class Peer:
    """FastMCP's server with its search transform over a catalogue."""

    def __init__(self, catalogue: list[ReleaseTexts]) -> None:
        self.transform = BM25SearchTransform(
            max_results=CUTS[-1], search_result_serializer=serialize_tools_for_output_markdown
        )
        self.server = FastMCP("peer", version="1", transforms=[self.transform])
        self.tools: dict[str, str] = {}
        for one in catalogue:
            for tool in one.tools:
                shown = re.sub(r"\W+", "_", f"{one.box}_{tool.name}")
                assert shown not in self.tools, shown
                self.tools[shown] = tool.name
                self.server.add_tool(Tool(name=shown, description=tool.description, parameters=dict(tool.schema)))

    async def search(self, query: str) -> list[str]:
        """Ask as a client's call does: through the server's search tool."""
        result = await self.server.call_tool("search_tools", {"query": query})
        text = "".join(getattr(block, "text", "") for block in result.content)
        return [self.tools[shown] for shown in re.findall(r"^### (\w+)$", text, re.MULTILINE) if shown in self.tools]

    def rank(self, query: str) -> list[int]:
        """Rank alone, without listing, hashing and writing out the tools, which `search` has done before."""
        return self.transform._index.query(query, CUTS[-1])


async def recall(search: Search, tasks: list[Task]) -> dict[str, float]:
    """Return the recall in percent for both kinds of query at each cut."""
    figures: dict[str, float] = {}
    for kind in ("question", "steps"):
        per_task: dict[int, list[float]] = {cut: [] for cut in CUTS}
        for queries in (getattr(task, kind) for task in tasks):
            found = [(query.tools, await search(query.text)) for query in queries]
            for cut in CUTS if found else ():
                shares = [len(tools & set(names[:cut])) / len(tools) for tools, names in found]
                per_task[cut].append(statistics.mean(shares))
        figures |= {f"{kind} @{cut}": 100 * statistics.mean(per_task[cut]) for cut in CUTS}
    return figures


async def compare_recall(catalogue: list[ReleaseTexts], tasks: list[Task]) -> None:
    """Print the table of recalls."""
    searches: dict[str, Search] = {
        "FastMCP BM25": Peer(catalogue).search,
        "ours": ours(catalogue),
        "FastMCP BM25, with summaries": Peer(summaries_in_tools(catalogue)).search,
        "ours, without summaries": ours(without_summaries(catalogue)),
    }
    for part, chosen in (("all", tasks), ("even", tasks[0::2]), ("odd", tasks[1::2])):
        for name, search in searches.items():
            figures = await recall(search, chosen)
            print(f"{part:5} {name:29}" + "  ".join(f"{what} {figure:5.1f}" for what, figure in figures.items()))


async def compare_speed(catalogue: list[ReleaseTexts], queries: list[str]) -> None:
    """Print how long one search takes, each query asked of every side in turn."""
    started = time.perf_counter()
    search = ours(catalogue)
    built = time.perf_counter() - started
    peer = Peer(catalogue)
    await peer.search(queries[0])
    seconds: dict[str, list[float]] = {"ours": [], "call": [], "rank": []}
    for query in queries:
        for name, ask in (("ours", search), ("call", peer.search), ("rank", _later(peer.rank))):
            started = time.perf_counter()
            await ask(query)
            seconds[name].append(time.perf_counter() - started)
    p50 = {name: statistics.median(taken) * 1e3 for name, taken in seconds.items()}
    print(f"{sum(len(one.tools) for one in catalogue)} tools, {len(queries)} queries; index made in {built:.2f} s")
    print(f"  ours                     p50 {p50['ours']:8.2f} ms  most {max(seconds['ours']) * 1e3:.2f} ms")
    for name, what in (("call", "FastMCP's search tool"), ("rank", "FastMCP's ranking alone")):
        print(f"  {what:24} p50 {p50[name]:8.2f} ms  ours to it {p50['ours'] / p50[name]:.3f}")


def _later(rank: Callable[[str], list[int]]) -> Callable[[str], Awaitable[object]]:
    async def ask(query: str) -> object:
        return rank(query)

    return ask


def texts(tasks: list[Task]) -> Iterator[str]:
    """Yield the texts of all queries."""
    for task in tasks:
        yield from (query.text for query in (*task.question, *task.steps))


async def main() -> None:
    """Compare recall, then speed."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path, help="LiveMCPBench's tools.json and annotations.json are in it")
    parser.add_argument("--sizes", type=int, nargs="*", default=[527, 5_000], help="numbers of tools for the speed")
    arguments = parser.parse_args()
    catalogue = load_catalogue(arguments.folder)
    tasks, missing = load_tasks(arguments.folder, {tool.name for one in catalogue for tool in one.tools})
    print(
        f"{len(catalogue)} servers, {sum(len(one.tools) for one in catalogue)} tools; {len(tasks)} tasks with "
        f"{sum(len(task.question) for task in tasks)} questions and {sum(len(task.steps) for task in tasks)} steps; "
        f"annotated but in no server: {', '.join(missing)}"
    )
    await compare_recall(catalogue, tasks)
    asked = list(islice(texts(tasks), 0, None, 5))
    for size in arguments.sizes:
        await compare_speed(replicate(catalogue, size), asked)


if __name__ == "__main__":
    asyncio.run(main())
