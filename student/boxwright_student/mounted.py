"""The tools of one attempt as its model meets them: as many as fit, a search for the others, a plan, and a gate.

The gate is the one place where an attempt's tools are called, whether the model wrote a call or code: here a person is
asked, here it is told what is called, and here it is traced.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from boxwright.errors import did_you_mean, near_misses
from boxwright.models import ToolCall, ToolDefinition
from boxwright.models.tokens import estimate_tokens
from boxwright.search import rank
from boxwright_student.events import Calling, Event, Note, Planned, Result
from boxwright_student.telemetry import tool_span
from boxwright_student.toolset import ToolOutcome, Toolset, unknown_tool

Allow = Callable[[ToolCall], Awaitable[bool]]
"""Asked before a tool is called that is not known to change nothing; False declines."""

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
        return [*self._own(), *self._tools.definitions]

    def shown(self, question: str, room: int | None) -> list[ToolDefinition]:
        """Return the tools that the model is shown: all of them, or those for the question and a search.

        Args:
            question: What is asked.
            room: The tokens that their definitions may take; None bounds nothing.
        """
        known = list(self._tools.definitions)
        own = [PLAN] if self._planning else []
        if room is None or estimate_tokens((), [*own, *known]) <= room:
            return [*own, *known]
        own = [SEARCH, *own]
        by_name = {tool.name: tool for tool in known}
        texts = {name: f"{name} {tool.description}" for name, tool in by_name.items()}
        order = dict.fromkeys([*reversed(self._wanted), *rank(question, texts), *by_name])
        left = room - estimate_tokens((), own)
        chosen: set[str] = set()
        for name in order:
            if name in by_name and (size := estimate_tokens((), [by_name[name]])) <= left:
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
        return name == SEARCH.name or (name != PLAN.name and self._tools.read_only(name))

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        """See `Toolset.call`."""
        return await self.make(ToolCall(id="", name=name, arguments=arguments))

    async def make(self, call: ToolCall) -> ToolOutcome:
        """Make a call, if a person allows it, and tell of it.

        Raises:
            CallerMustHandle: The tools cannot be reached at all.
        """
        if call.name == PLAN.name and self._planning:
            return self._keep_plan(call.arguments)
        self._emit(Calling(call))
        outcome = await self._outcome(call)
        self._emit(Result(call, outcome))
        return outcome

    async def _outcome(self, call: ToolCall) -> ToolOutcome:
        names = [tool.name for tool in self._tools.definitions]
        if call.name == SEARCH.name and call.name not in names:
            return self._search(str(call.arguments.get("query", "")))
        if call.name not in names:
            return self._unknown(call.name, names)
        if self._allow is not None and not self.read_only(call.name) and not await self._allow(call):
            return ToolOutcome("the user declined this call; do without it, or say what it was for", failed=True)
        self._want(call.name)
        with tool_span(call) as span:
            outcome = await self._tools.call(call.name, call.arguments)
            span.ended(outcome.failed)
        return outcome

    def _own(self) -> list[ToolDefinition]:
        return [*([SEARCH] if self._searching else []), *([PLAN] if self._planning else [])]

    def _keep_plan(self, arguments: dict[str, Any]) -> ToolOutcome:
        steps = arguments.get("steps")
        if not isinstance(steps, list) or not steps:
            return ToolOutcome('a plan is a list of steps, such as {"steps": ["find the date"]}', failed=True)
        self.plan = tuple(str(step) for step in steps)
        self._emit(Planned(self.plan))
        return ToolOutcome("The plan is kept. Now take its first step that is not done.")

    def _search(self, query: str) -> ToolOutcome:
        by_name = {tool.name: tool for tool in self._tools.definitions}
        found = rank(query, {name: f"{name} {tool.description}" for name, tool in by_name.items()})[:MOST_FOUND]
        if not found:
            return ToolOutcome(f"no tool is for {query!r}; try other words, or answer without a tool", failed=True)
        for name in reversed(found):
            self._want(name)
        lines = [f"- {name}: {by_name[name].description.splitlines()[0][:200]}" for name in found if by_name[name]]
        return ToolOutcome("\n".join(["These tools can be called now:", *lines]))

    def _unknown(self, name: str, names: Sequence[str]) -> ToolOutcome:
        if len(names) <= 2 * MOST_FOUND:
            return unknown_tool(name, names)
        near = did_you_mean(near_misses(name, names))
        return ToolOutcome(f"there is no tool {name!r}{near}; call {SEARCH.name} to find one", failed=True)

    def _want(self, name: str) -> None:
        self._wanted.pop(name, None)
        self._wanted[name] = None
