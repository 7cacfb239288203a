"""A bar for each arm that runs."""

from __future__ import annotations

from collections.abc import Callable

from rich.progress import Progress


def bar(progress: Progress, name: str, total: int) -> Callable[[object], None]:
    """Show a bar of that name, and return what moves it on by one."""
    shown = progress.add_task(name, total=total)
    return lambda _: progress.advance(shown)
