"""The tools of one attempt as its model meets them: as many as fit, a search for the others, a plan, and a gate.

The gate is the one place where an attempt's tools are called, whether the model wrote a call or code: here a person is
asked, here it is told what is called, and here it is traced.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from boxwright.errors import did_you_mean, near_misses
from boxwright.jsontypes import canonical
from boxwright.models import ToolCall, ToolDefinition
from boxwright.search import rank
from boxwright_student.conversation import sayable
from boxwright_student.events import Calling, Event, Note, Planned, Result
from boxwright_student.telemetry import tool_span
from boxwright_student.toolset import ToolOutcome, Toolset, unknown_tool

Allow = Callable[[ToolCall], Awaitable[bool]]
"""Asked before a tool is called that is not known to change nothing; False declines."""

Weigh = Callable[[ToolDefinition], int]
"""About how many tokens a tool takes in what the model is sent."""

SMALLEST_TOOL = 16
"""Tokens that no tool's definition is smaller than."""
PREAMBLE = 150
"""Tokens of what is said before the first tool."""
MOST_FOUND = 5
"""Tools that one search gives."""
SEARCH = ToolDefinition(
    name="search_tools",
    description=(
        "Find more tools. Not all tools are shown; this finds those for a purpose, which can be called from then on."
    ),
    parameters={
        "type": "object",
        "properties": {"query": {"type": "string", "description": "What the tool should do, in a few words."}},
        "required": ["query"],
        "additionalProperties": False,
    },
)
PLAN = ToolDefinition(
    name="plan",
    description="Write down your plan, or a better one: all its steps, those that are done marked with 'done: '.",
    parameters={
        "type": "object",
        "properties": {"steps": {"type": "array", "items": {"type": "string"}}},
        "required": ["steps"],
        "additionalProperties": False,
    },
)


def own_tool(tool: ToolDefinition, tools: Toolset) -> ToolDefinition:
    """Return a tool of ours under a name that no mounted tool has."""
    taken = {one.name for one in tools.definitions}
    names = (tool.name, *(f"{tool.name}_{number}" for number in range(2, len(taken) + 3)))
    return tool.model_copy(update={"name": next(name for name in names if name not in taken)})


class Mounted:
    """Tools, with what one attempt needs around them.

    Args:
        tools: The tools.
        emit: Takes what is to be told.
        allow: Asked before a tool that is not read-only; None allows all.
        planning: Whether the model is given the tool `plan`.
    """

    def __init__(
        self, tools: Toolset, *, emit: Callable[[Event], None], allow: Allow | None = None, planning: bool = False
    ) -> None:
        self._tools, self._emit, self._allow = tools, emit, allow
        self._planning = planning
        self._plan, self._search = own_tool(PLAN, tools), own_tool(SEARCH, tools)
        self._order: tuple[Sequence[ToolDefinition], str, tuple[str, ...]] = ((), "", ())
        self._weights: dict[str, tuple[ToolDefinition, int]] = {}
        self._declined: set[str] = set()
        self._wanted: dict[str, None] = {}  # names that were found or called, the latest last
        self._searching = False
        self.plan: tuple[str, ...] = ()
        """The steps of the latest plan."""

    @property
    def digest(self) -> str:
        """See `Toolset.digest`."""
        return self._tools.digest

    @property
    def definitions(self) -> Sequence[ToolDefinition]:
        """All tools that may be called, shown or not."""
        return [*self._own(), *self._theirs()]

    def shown(self, question: str, room: int | None, weigh: Weigh) -> list[ToolDefinition]:
        """Return the tools that the model is shown: all of them, or those for the question and a search.

        Args:
            question: What is asked.
            room: The tokens that their definitions may take; None bounds nothing.
            weigh: Says what each takes.
        """
        known = self._theirs()
        own = [self._plan] if self._planning else []
        if room is None or self._all_fit([*own, *known], room, weigh):
            return [*own, *known]
        own = [self._search, *own]
        by_name = {tool.name: tool for tool in known}
        order = dict.fromkeys([*reversed(self._wanted), *self._ranked(question), *by_name])
        left = room - PREAMBLE - sum(self._weight(tool, weigh) for tool in own)
        chosen: set[str] = set()
        for name in order:
            if left < SMALLEST_TOOL:
                break
            if name in by_name and (size := self._weight(by_name[name], weigh)) <= left:
                chosen.add(name)
                left -= size
        if not self._searching:
            self._searching = True
            self._emit(Note(f"{len(chosen)} of {len(known)} tools fit the context; the others are found by a search"))
        return [*own, *(tool for tool in known if tool.name in chosen)]

    def news(self) -> list[str]:
        """See `Toolset.news`."""
        return self._tools.news()

    def read_only(self, name: str) -> bool:
        """See `Toolset.read_only`; a search of tools changes nothing."""
        return name == self._search.name or (name != self._plan.name and self._tools.read_only(name))

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        """See `Toolset.call`."""
        return await self.make(ToolCall(id="", name=name, arguments=arguments))

    async def make(self, call: ToolCall) -> ToolOutcome:
        """Make a call, if a person allows it, and tell of it.

        Raises:
            CallerMustHandle: The tools cannot be reached at all.
        """
        if call.name == self._plan.name and self._planning:
            return self._keep_plan(call.arguments)
        self._emit(Calling(call))
        outcome = await self._outcome(call)
        self._emit(Result(call, outcome))
        return outcome

    async def _outcome(self, call: ToolCall) -> ToolOutcome:
        if call.name == self._search.name:
            return self._found(str(call.arguments.get("query", "")))
        names = [tool.name for tool in self._tools.definitions]
        if call.name not in names:
            return self._unknown(call.name, names)
        if not await self._allowed(call):
            return ToolOutcome("the user declined this call; do without it, or say what it was for", failed=True)
        self._want(call.name)
        with tool_span(call) as span:
            outcome = await self._tools.call(call.name, call.arguments)
            span.ended(outcome.failed)
        return replace(outcome, text=sayable(outcome.text))

    async def _allowed(self, call: ToolCall) -> bool:
        """Ask, where that is needed; about a call that was declined nobody is asked again."""
        if self._allow is None or self.read_only(call.name):
            return True
        key = canonical([call.name, call.arguments])
        if key not in self._declined and await self._allow(call):
            return True
        self._declined.add(key)
        return False

    def _own(self) -> list[ToolDefinition]:
        return [*([self._search] if self._searching else []), *([self._plan] if self._planning else [])]

    def _theirs(self) -> list[ToolDefinition]:
        """Return the mounted tools, but for those that came since under a name of ours."""
        own = {tool.name for tool in self._own()}
        return [tool for tool in self._tools.definitions if tool.name not in own]

    def _all_fit(self, tools: Sequence[ToolDefinition], room: int, weigh: Weigh) -> bool:
        if not tools:
            return True
        sizes = accumulate((self._weight(tool, weigh) for tool in tools), initial=PREAMBLE)
        return all(size <= room for size in sizes)  # thousands of tools are not weighed to the last one

    def _weight(self, tool: ToolDefinition, weigh: Weigh) -> int:
        known, weight = self._weights.get(tool.name, (None, 0))
        if known is not tool:
            weight = weigh(tool)
            self._weights[tool.name] = (tool, weight)
        return weight

    def _ranked(self, question: str) -> tuple[str, ...]:
        """Return the tools' names as they fit the question; ranked anew only where the tools have changed."""
        tools = self._tools.definitions
        if self._order[0] is not tools or self._order[1] != question:
            self._order = (tools, question, tuple(rank(question, _texts(tools))))
        return self._order[2]

    def _keep_plan(self, arguments: dict[str, Any]) -> ToolOutcome:
        steps = arguments.get("steps")
        if not isinstance(steps, list) or not steps:
            return ToolOutcome('a plan is a list of steps, such as {"steps": ["find the date"]}', failed=True)
        self.plan = tuple(str(step) for step in steps)
        self._emit(Planned(self.plan))
        return ToolOutcome("The plan is kept. Now take its first step that is not done.")

    def _found(self, query: str) -> ToolOutcome:
        by_name = {tool.name: tool for tool in self._theirs()}
        found = rank(query, _texts(by_name.values()))[:MOST_FOUND]
        if not found:
            return ToolOutcome(f"no tool is for {query!r}; try other words, or answer without a tool", failed=True)
        for name in reversed(found):
            self._want(name)
        lines = [f"- {name}: {_first_line(by_name[name].description)[:200]}" for name in found]
        return ToolOutcome("\n".join(["These tools can be called now:", *lines]))

    def _unknown(self, name: str, names: Sequence[str]) -> ToolOutcome:
        if not self._searching:
            return unknown_tool(name, names)
        near = did_you_mean(near_misses(name, names))
        return ToolOutcome(f"there is no tool {name!r}{near}; call {self._search.name} to find one", failed=True)

    def _want(self, name: str) -> None:
        self._wanted.pop(name, None)
        self._wanted[name] = None


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _texts(tools: Iterable[ToolDefinition]) -> dict[str, str]:
    return {tool.name: f"{tool.name} {tool.description}" for tool in tools}
