"""Options that the student's commands share, and the agent they make. Not a command itself."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from boxwright.models import ChatModel
    from boxwright.settings import Settings
    from boxwright_student.agent import Agent
    from boxwright_student.mounted import Allow
    from boxwright_student.toolset import Toolset

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class AgentOptions:
    """How the student is asked; see the options' help."""

    model: str | None
    mcp: Path | None
    bare: bool
    code: bool
    plan: bool
    samples: int
    steps: int
    tokens: int
    seconds: float
    logprobs: int
    first_thought: bool

    def uri(self, settings: Settings) -> str:
        """Return the model's URI."""
        return self.model or settings.student

    @asynccontextmanager
    async def tools(self, settings: Settings) -> AsyncIterator[Toolset]:
        """Open the tools: those of an mcp.json, else of our box server, else none.

        Raises:
            BadInput: The mcp.json cannot be read.
            ToolsUnreachable: A server cannot be started or reached.
        """
        if self.bare:
            from boxwright_student.toolset import NoTools

            yield NoTools()
            return
        from boxwright_student.mcp_tools import box_server, connect, read_mcp_json

        path = self.mcp or settings.mcp
        async with connect(read_mcp_json(path) if path else {"boxwright": box_server()}) as tools:
            yield tools

    def agent(self, model: ChatModel, tools: Toolset, allow: Allow | None) -> Agent:
        """Return the student."""
        from boxwright_student.agent import Agent, Bounds

        return Agent(
            model,
            tools,
            bounds=Bounds(steps=self.steps, tokens=self.tokens, seconds=self.seconds),
            acts="code" if self.code else "tool-calls",
            samples=self.samples,
            planning=self.plan,
            allow=allow,
            top_logprobs=self.logprobs,
            first_thought=self.first_thought,
        )


_OPTIONS = (
    click.option("--model", help="The model, such as ollama/llama3.1:8b (default: BOXWRIGHT_STUDENT)."),
    click.option(
        "--mcp",
        type=click.Path(path_type=Path),
        help="An mcp.json (default: BOXWRIGHT_MCP); without one, our box server is started.",
    ),
    click.option("--bare", is_flag=True, help="Without any tool."),
    click.option(
        "--code", is_flag=True, help="Let the model write Python that calls the tools, in place of tool calls."
    ),
    click.option("--plan", is_flag=True, help="Have the model write down a plan first."),
    click.option(
        "--samples",
        default=1,
        show_default=True,
        type=click.IntRange(1, 64),
        help="Completions to draw at each step and vote on.",
    ),
    click.option(
        "--steps", default=8, show_default=True, type=click.IntRange(1, 1000), help="Most completions of the model."
    ),
    click.option(
        "--tokens",
        default=100_000,
        show_default=True,
        type=click.IntRange(1),
        help="Most tokens, those of prompts and completions together.",
    ),
    click.option(
        "--seconds",
        default=300.0,
        show_default=True,
        type=click.FloatRange(0, min_open=True),
        help="Most seconds.",
    ),
    click.option(
        "--logprobs",
        default=0,
        show_default=True,
        type=click.IntRange(0, 512),
        help="Keep so many of the likeliest tokens in each token's place, for `train --teacher stored`.",
    ),
    click.option(
        "--first-thought",
        is_flag=True,
        help="Ask first without tools, and begin with the first paragraph of that: for a teacher's trajectories.",
    ),
)


def question_text(_: click.Context, __: click.Parameter, value: str) -> str:
    """Return a question as it was written, or what stdin holds for `-`.

    Raises:
        BadParameter: There is nothing in it, or it is no UTF-8.
    """
    if value == "-":
        value = "" if sys.stdin is None else sys.stdin.buffer.read().decode(errors="surrogateescape")
    if not value.strip():
        raise click.BadParameter(f"ask something, got {value[:80]!r}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise click.BadParameter(f"{value[error.start :][:80]!r} is no UTF-8; convert it with iconv") from error
    return value


def agent_options(command: Command) -> Command:
    """Give a command the options of `AgentOptions`, which it gets as one argument, `options`."""
    from functools import wraps

    names = AgentOptions.__dataclass_fields__

    @wraps(command)
    def gathered(**values: Any) -> Any:
        options = AgentOptions(**{name: values.pop(name) for name in names})
        return command(options=options, **values)

    decorated: Any = gathered
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]
