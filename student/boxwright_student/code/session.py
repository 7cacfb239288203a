"""Code acts: Python that composes tools, in a Monty worker, with variables that last for one attempt.

A worker is a process of its own without files, network or packages. What an act leaves are its variables, held as bytes
between acts, so that the same variables can be given to several candidates and none of them sees another's.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import is_not

from pydantic_monty import AsyncMonty, OSPolicy, ResourceLimits

from boxwright.models import ToolCall, ToolDefinition
from boxwright_student.code.names import python_names
from boxwright_student.code.run import Caller, CodeLimits, CodeResult, CodeRun
from boxwright_student.code.signatures import ToolSignature
from boxwright_student.toolset import ToolOutcome, Toolset

_POLICY: OSPolicy = {"sleep": "zero", "random_start": {"seed": 0}}
"""Sleeping takes no time, and chance is the same each time: the same code gives the same result."""
_SUSPENSIONS = 5_000
"""How often one act may ask for a name or a function, tools among them."""


class CodeSession:
    """The code of one attempt: its tools and its variables.

    Used as an async context, which starts a worker and ends all.

    Args:
        tools: The tools that code can call.
        limits: The limits of each act.
        candidates: How many acts may be run side by side.
    """

    def __init__(self, tools: Toolset, limits: CodeLimits | None = None, *, candidates: int = 1) -> None:
        self.limits = limits or CodeLimits()
        self._tools = tools
        self._state: bytes | None = None
        self._known: list[ToolDefinition] = []
        self._functions: dict[str, ToolSignature] = {}
        self._pool = AsyncMonty(max_processes=candidates)

    async def __aenter__(self) -> CodeSession:
        await self._pool.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._pool.__aexit__(*error)

    @property
    def functions(self) -> dict[str, ToolSignature]:
        """The tools by their names in code."""
        now = list(self._tools.definitions)
        if len(now) != len(self._known) or any(map(is_not, now, self._known)):  # thousands are not read at every act
            aliases = python_names(tool.name for tool in now)
            self._functions = {aliases[tool.name]: ToolSignature(tool, aliases[tool.name]) for tool in now}
            self._known = now
        return self._functions

    async def act(self, code: str) -> CodeResult:
        """Run code and keep its variables; code that fails leaves them as they were.

        Raises:
            CallerMustHandle: The tools cannot be reached at all.
        """
        result = await self.run(code)
        self.keep(result)
        return result

    def keep(self, result: CodeResult) -> None:
        """Take the variables that an act left as those of the attempt."""
        self._state = result.state

    async def run(
        self, code: str, *, call: Caller | None = None, may_call: Callable[[str], bool] | None = None
    ) -> CodeResult:
        """Run code over the attempt's variables, and keep nothing.

        Args:
            code: The code.
            call: Makes its tool calls; by default the tools themselves.
            may_call: Whether a tool may be called here, by name; code stops before one that may not.

        Raises:
            CallerMustHandle: The tools cannot be reached at all.
        """
        if len(code) > self.limits.length:
            fault = f"the code has {len(code)} characters, more than {self.limits.length}; write less at a time"
            return CodeResult(fault=fault, observation=fault, state=self._state)
        run = CodeRun(self.functions, call or self._call, may_call or _any, self.limits)
        limits: ResourceLimits = {
            "max_feed_duration_secs": self.limits.seconds,
            "max_memory": self.limits.megabytes * 1_000_000,
            "max_suspensions": _SUSPENSIONS,
        }
        async with self._pool.checkout(limits=limits, os_policy=_POLICY) as session:
            return await run.finish(session, code, self._state)

    async def _call(self, call: ToolCall) -> ToolOutcome:
        return await self._tools.call(call.name, call.arguments)


def _any(_: str) -> bool:
    return True
