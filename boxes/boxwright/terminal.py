"""What every command shares at the terminal: a console for people, and running async code. Not a command itself."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from rich.console import Console

T = TypeVar("T")


def screen() -> Console:
    """Return the console for results, on stdout."""
    return Console(highlight=False, soft_wrap=True)


def notes() -> Console:
    """Return the console for progress and remarks, on stderr, so that stdout can be piped."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine to its end and return its result."""
    return asyncio.run(main)
