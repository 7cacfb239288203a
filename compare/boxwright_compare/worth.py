"""What each tool is worth to a student: the tasks with all tools, without each of them, and with what is left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from boxwright.errors import BadInput
from boxwright.jsontypes import digest
from boxwright.models import ChatModel
from boxwright.tasks import Task
from boxwright.traces import Trajectory
from boxwright_compare.arms import ArmResult, run_with
from boxwright_compare.paired import ArmSummary, Paired, compare_pair, summarise
from boxwright_compare.use import Use, calls_made, use_of
from boxwright_student import McpTools, NoTools, ServerEntry, connect
from boxwright_student.hiding import Without

Verdict = Literal["keep", "no worth here", "never right"]
"""`never right`: no task was right, with all tools or without this one, which says nothing of it."""
OnArm: TypeAlias = Callable[[str], Callable[[Trajectory], None]]
"""Told the name of each arm that begins; what it returns is told of each attempt."""


@dataclass(frozen=True)
class ToolWorth:
    """One tool, by what the student does without it."""

    tool: str
    reached: int
    """Tasks in which a call reached it while all tools were there."""
    pair: Paired
    """Without it, and with all tools."""
    verdict: Verdict


@dataclass(frozen=True)
class Measured:
    """A set of tools, and what the student did with it."""

    tools: tuple[str, ...]
    figures: ArmSummary
    use: Use


@dataclass(frozen=True)
class Worth:
    """What the tools are worth, one by one and together."""

    tools: tuple[ToolWorth, ...]
    sets: dict[str, Measured]
    """By name; several names may stand for one set. `bare`, `all`, `without …` for each tool, and

    - `pruned`: the tools whose verdict is `keep`,
    - `kept`: of all sets so far the one with most tasks right, and of equals the smallest,
    - `boxes`: the boxes of what is kept, whole, as `boxwright serve` mounts them.
    """
    pruning: Paired
    """The set that is kept, and all."""
    judged: Paired
    """The set that is pruned tool by tool, and the one that is kept."""

    @property
    def kept(self) -> tuple[str, ...]:
        """The tools of the best set that was measured."""
        return self.sets["kept"].tools

    @property
    def dropped(self) -> list[str]:
        """The other tools."""
        return [one.tool for one in self.tools if one.tool not in self.kept]


def box_of(tool: str) -> str:
    """Return the box that a mounted tool is of."""
    return tool.partition("__")[0]  # no box's name has two _ in a row


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
    """Have the model attempt the tasks with and without each tool, with those that are worth something, and as served.

    The trajectories are kept in the folder, a file for each set of tools; what is there is not run again.

    Raises:
        BudgetSpent: The model's budget was used up.
        BadInput: The server's tools changed meanwhile.
        CallerMustHandle: The server or the folder cannot be reached.
    """
    async with connect({"boxwright": server}) as tools:
        arms = _Arms(model, tasks, suite, folder, tools, concurrency, on_arm)
        every = arms.names
        await arms.without("bare", every)
        whole = await arms.without("all", ())
        found = [tool_worth(name, await arms.without(f"without {name}", [name]), whole) for name in every]
        pruned = await arms.without("pruned", [one.tool for one in found if one.verdict != "keep"])
        kept = await arms.without("kept", arms.best)
        mounted = set(map(box_of, arms.sets["kept"].tools))
        await arms.without("boxes", [name for name in every if box_of(name) not in mounted])
    return Worth(tuple(found), arms.sets, pruning=compare_pair(kept, whole), judged=compare_pair(pruned, kept))


def tool_worth(tool: str, without: ArmResult, whole: ArmResult) -> ToolWorth:
    """Return what a tool is worth, from the attempts without it and with all tools.

    It is kept if more tasks are right with it than without, however few: `pair` says how likely that is by chance.
    """
    pair = compare_pair(without, whole)
    reached = sum(any(call.name == tool for call in calls_made(one)) for one in whole.trajectories)
    verdict: Verdict = "keep" if pair.only_second > pair.only_first else "no worth here"
    return ToolWorth(tool, reached, pair, verdict if pair.first.right or pair.second.right else "never right")


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
    sets: dict[str, Measured] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = [tool.name for tool in self.tools.definitions]
        self.digest = self.tools.digest

    @property
    def best(self) -> frozenset[str]:
        """What is hidden where most tasks are right; of equals, where most is hidden."""
        return max(self.done, key=lambda hidden: (sum(self.done[hidden].right), len(hidden)))

    async def without(self, name: str, hidden: Collection[str]) -> ArmResult:
        """Return the attempts without some tools, and note the set, under a name.

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
        arm = replace(self.done[key], name=name)
        shown = tuple(tool for tool in self.names if tool not in key)
        self.sets[name] = Measured(shown, summarise(arm), use_of(arm.trajectories))
        return arm

    def _file(self, hidden: frozenset[str]) -> str:
        """Return the name of a set's file, which no other set has."""
        if len(hidden) in (0, len(self.names)):
            return "bare" if hidden else "all"
        return f"without-{next(iter(hidden)) if len(hidden) == 1 else digest(sorted(hidden))[7:15]}"
