"""Talk with the student, turn by turn, over one connection to the tools."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from boxwright.errors import BoxwrightError
from boxwright.models import ChatModel, Message, load_model
from boxwright.settings import Settings
from boxwright.traces import TraceStore
from boxwright_student.agent import Agent
from boxwright_student.cli.consent import Consent
from boxwright_student.cli.exits import Interrupts, Stopped, errors, keep
from boxwright_student.cli.options import AgentOptions, agent_options
from boxwright_student.cli.screen import Screen
from boxwright_student.toolset import Toolset

HELP = "/tools lists the tools, /reset forgets what was said, /quit or Ctrl-D ends; Ctrl-C stops an answer"
_WHOLE = ("answered", "steps", "tokens", "repetition")
"""Ends after which every call in the conversation has its result, so that it can go on."""


@click.command()
@agent_options
@click.option("--yes", is_flag=True, help="Call tools that may change something without asking.")
@click.option("--thinking", is_flag=True, help="Show the model's thinking.")
def chat(options: AgentOptions, yes: bool, thinking: bool) -> None:
    """Talk with the student. Every turn's trajectory is kept."""
    settings = Settings()
    model = load_model(options.uri(settings), settings)
    screen = Screen(thinking=thinking, stream=True)
    store = TraceStore(settings.home / "trajectories" / "chat.jsonl")

    async def go() -> None:
        async with options.tools(settings) as tools:
            agent = options.agent(model, tools, None if yes else Consent(screen))
            await _Chat(agent, model, tools, store, screen).go_on()

    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    with suppress(ImportError):
        import readline  # noqa: F401  # importing it is what gives `input` its history
    with errors(), _terminated():
        try:
            asyncio.run(go())
        except KeyboardInterrupt:
            raise Stopped("stopped", 128 + signal.SIGINT) from None


class _Chat:
    """A conversation."""

    def __init__(self, agent: Agent, model: ChatModel, tools: Toolset, store: TraceStore, screen: Screen) -> None:
        self._agent, self._tools, self._store, self._screen = agent, tools, store, screen
        self._history: tuple[Message, ...] = ()
        screen.note(f"{model.uri}, {len(tools.definitions)} tools; {HELP}", dim=True)
        if model.label:
            screen.note(f"[{model.label}]", fg="yellow")

    async def go_on(self) -> None:
        """Take line after line until the person ends it."""
        while True:
            try:
                line = _line()
            except EOFError:
                click.echo()
                return
            except KeyboardInterrupt:
                click.echo()
                continue
            if line == "/quit":
                return
            if line.startswith("/"):
                self._command(line)
            elif line:
                await self._turn(line)

    def _command(self, line: str) -> None:
        if line == "/tools":
            for tool in self._tools.definitions:
                first = tool.description.strip().partition("\n")[0]
                self._screen.note(f"{tool.name}{'' if self._tools.read_only(tool.name) else ' (asks first)'}: {first}")
        elif line == "/reset":
            self._history = ()
            self._screen.note("what was said is forgotten", dim=True)
        else:
            self._screen.note(HELP, dim=True)

    async def _turn(self, prompt: str) -> None:
        attempt = self._agent.start(prompt, history=self._history, on_event=self._screen)
        task = asyncio.ensure_future(attempt.finish())
        with Interrupts(task.cancel) as interrupts:
            await asyncio.wait({task})
        trajectory = attempt.trajectory()
        for told in keep(self._store, trajectory):
            self._screen.note(told, fg="red")
        if interrupts.got == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, BoxwrightError):
            raise error
        if trajectory.ended in _WHOLE:
            self._history = trajectory.messages
        if trajectory.answer is not None:
            self._screen.answer(trajectory.answer)
            return
        why = f"{error or trajectory.note}".strip()
        forgotten = "" if trajectory.ended in _WHOLE else "; this turn is forgotten"
        self._screen.note(f"no answer: {trajectory.ended}{f', {why}' if why else ''}{forgotten}", fg="red")


def _line() -> str:
    """Read a line. It blocks the event loop, whose servers have nothing to say meanwhile, and Ctrl-C gets through."""
    if sys.stdin is None:  # closed
        raise EOFError
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input("> ").strip()
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _terminated() -> Iterator[None]:
    """Let SIGTERM end the chat in order."""

    def end(*_: Any) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
