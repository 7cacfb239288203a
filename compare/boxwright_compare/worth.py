"""What each tool is worth to a student: the tasks with all tools, without each of them, and with those it keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from boxwright.errors import BadInput
from boxwright.jsontypes import digest
from boxwright.models import ChatModel
from boxwright.tasks import Task
from boxwright.traces import Trajectory
from boxwright_compare.arms import ArmResult, run_with
from boxwright_compare.paired import Paired, compare_pair
from boxwright_compare.use import Use, calls_made, use_of
from boxwright_student import McpTools, NoTools, ServerEntry, connect
from boxwright_student.hiding import Without

Verdict = Literal["keep", "no worth here"]
OnArm: TypeAlias = Callable[[str], Callable[[Trajectory], None]]
"""Told the name of each arm that begins; what it returns is told of each attempt."""


@dataclass(frozen=True)
class ToolWorth:
    """One tool, by what the student does without it."""

    tool: str
    called: int
    """Tasks in which it was called while all tools were there."""
    pair: Paired
    """Without it, and with all tools."""
    verdict: Verdict


@dataclass(frozen=True)
class Worth:
    """What the tools are worth, one by one and together."""

    tools: tuple[ToolWorth, ...]
    alone: Paired
    """No tools, and all."""
    pruning: Paired
    """Only the tools that are kept, and all."""
    use: dict[str, Use]
    """What the student did in the arms `bare`, `all` and `pruned`."""

    @property
    def kept(self) -> list[str]:
        """The tools without which fewer tasks are right."""
        return [one.tool for one in self.tools if one.verdict == "keep"]

    @property
    def dropped(self) -> list[str]:
        """The tools without each of which nothing is lost."""
        return [one.tool for one in self.tools if one.verdict != "keep"]

    @property
    def holds(self) -> bool:
        """Whether nothing is lost without all of the others together, which may stand in for each other."""
        return self.pruning.only_second <= self.pruning.only_first


async def measure(
    model: ChatModel,
    tasks: Sequence[Task],
    suite: str,
    folder: Path,
    *,
    server: ServerEntry,
    concurrency: int,
    on_arm: OnArm,
) -> Worth:
    """Have the model attempt the tasks with and without each tool, and then with those that are worth something.

    The trajectories are kept in the folder, a file for each set of tools; what is there is not run again.

    Raises:
        BudgetSpent: The model's budget was used up.
        BadInput: The server's tools changed meanwhile.
        CallerMustHandle: The server or the folder cannot be reached.
    """
    async with connect({"boxwright": server}) as tools:
        arms = _Arms(model, tasks, suite, folder, tools, concurrency, on_arm)
        every = arms.names
        bare, whole = await arms.without("bare", every), await arms.without("all", ())
        found = [tool_worth(name, await arms.without(f"without {name}", [name]), whole) for name in every]
        pruned = await arms.without("pruned", [one.tool for one in found if one.verdict != "keep"])
    return Worth(
        tools=tuple(found),
        alone=compare_pair(bare, whole),
        pruning=compare_pair(pruned, whole),
        use={arm.name: use_of(arm.trajectories) for arm in (bare, whole, pruned)},
    )


def tool_worth(tool: str, without: ArmResult, whole: ArmResult) -> ToolWorth:
    """Return what a tool is worth, from the attempts without it and with all tools.

    It is kept if more tasks are right with it than without, however few: `pair` says how likely that is by chance.
    """
    pair = compare_pair(without, whole)
    called = sum(any(call.name == tool for call in calls_made(one)) for one in whole.trajectories)
    return ToolWorth(tool, called, pair, "keep" if pair.only_second > pair.only_first else "no worth here")


@dataclass
class _Arms:
    """The arms over one connection. Each is a set of hidden tools; one that two names stand for is run once."""

    model: ChatModel
    tasks: Sequence[Task]
    suite: str
    folder: Path
    tools: McpTools
    concurrency: int
    on_arm: OnArm
    done: dict[frozenset[str], ArmResult] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = [tool.name for tool in self.tools.definitions]
        self.digest = self.tools.digest

    async def without(self, name: str, hidden: Sequence[str]) -> ArmResult:
        """Return the attempts without some tools, under a name.

        Raises:
            BadInput: The tools changed meanwhile.
        """
        key = frozenset(hidden)
        if key not in self.done:
            tools = NoTools() if len(key) == len(self.names) else Without(self.tools, key)
            self.done[key] = await run_with(
                tools,
                name,
                self.model,
                self.tasks,
                self.suite,
                self.folder / f"{self._file(key)}.jsonl",
                concurrency=self.concurrency,
                on_done=self.on_arm(name),
            )
            if self.tools.digest != self.digest:
                raise BadInput("the boxes that are mounted changed meanwhile; run the same command again")
        return replace(self.done[key], name=name)

    def _file(self, hidden: frozenset[str]) -> str:
        """Return the name of a set's file, which no other set has."""
        if len(hidden) in (0, len(self.names)):
            return "bare" if hidden else "all"
        return f"without-{next(iter(hidden)) if len(hidden) == 1 else digest(sorted(hidden))[7:15]}"
