"""Asking a person before a tool is called that may change something. Not a command itself."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from boxwright.models import ToolCall
from boxwright.visible import visible
from boxwright_student.cli.screen import Screen, call_text
from boxwright_student.mounted import Allow

QUESTION = "call it? [y]es, [n]o, [a]lways this tool: "


def refuse(screen: Screen) -> Allow:
    """Return what allows no call that may change something, where nobody can be asked; each tool is told of once."""
    told: set[str] = set()

    async def answer(call: ToolCall) -> bool:
        if call.name not in told:
            told.add(call.name)
            screen.note(f"{visible(call.name)} was not called: it may change something; --yes allows it", fg="yellow")
        return False

    return answer


class Consent:
    """Asks a person at the terminal whether a call may be made; where there is none, no."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._always: set[str] = set()
        self._turn = asyncio.Lock()
        self._refuse = refuse(screen)

    async def __call__(self, call: ToolCall) -> bool:
        """Return whether the person allows the call."""
        async with self._turn:  # calls made side by side ask one after the other
            if call.name in self._always:
                return True
            if sys.stdin is None or not sys.stdin.isatty():
                return await self._refuse(call)
            return await self._ask(call)

    async def _ask(self, call: ToolCall) -> bool:
        self._screen.note(f"{call_text(call)} may change something", fg="yellow")
        while True:
            click.echo(QUESTION, err=True, nl=False)
            line = await _read_line()
            answer = line.strip().lower()
            if answer in ("a", "always"):
                self._always.add(call.name)
            if answer in ("y", "yes", "a", "always"):
                return True
            if answer in ("n", "no") or not line:
                return False


async def _read_line() -> str:
    """Read a line from the terminal and let the servers go on meanwhile; nothing at the end of input."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    descriptor = sys.stdin.fileno()
    try:
        loop.add_reader(descriptor, came.set)
    except NotImplementedError:  # Windows: only a thread can wait for the console
        return await asyncio.to_thread(sys.stdin.readline)
    try:
        await came.wait()
        return os.read(descriptor, 4096).decode(errors="replace")
    finally:
        loop.remove_reader(descriptor)
