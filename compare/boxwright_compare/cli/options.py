"""What the commands that have a student answer a suite in several ways are told, and what they make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click

from boxwright.models import Budgeted, load_model
from boxwright.settings import Settings
from boxwright.tasks import Split, Task, load_suite, split_tasks
from boxwright.tasks.task import SPLITS
from boxwright_student.mcp_tools import ServerEntry, box_server

_OPTIONS = (
    click.argument("suite"),
    click.option("--model", help="The student (default: BOXWRIGHT_STUDENT)."),
    click.option("--split", type=click.Choice(SPLITS), default="dev", show_default=True),
    click.option("--limit", type=click.IntRange(min=1), help="Only the first so many tasks."),
    click.option("--box", "boxes", multiple=True, help="Mount only this box; may be given again."),
    click.option("--concurrency", default=4, show_default=True, type=click.IntRange(1, 64)),
    click.option(
        "--out", type=click.Path(path_type=Path), help="Where report and trajectories go; a second run goes on."
    ),
)


def asking_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `Asking.of`, and `concurrency`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Asking:
    """A student, the tasks it is asked, and where that is kept."""

    model: Budgeted
    suite: str
    tasks: list[Task]
    folder: Path
    boxes: tuple[str, ...]
    title: str
    remarks: list[str]

    @classmethod
    def of(
        cls,
        kind: str,
        *,
        suite: str,
        model: str | None,
        split: str,
        limit: int | None,
        boxes: tuple[str, ...],
        out: Path | None,
    ) -> Asking:
        """Load what the options name; `kind` is the folder of home in which runs of this command are kept.

        Raises:
            CallerMustHandle: There is no such suite, split or model.
        """
        settings = Settings()
        student = load_model(model or settings.student, settings)
        loaded = load_suite(suite)
        tasks = split_tasks(loaded, cast(Split, split), limit)
        return cls(
            model=Budgeted(student, dollars=settings.budget_usd, tokens=settings.budget_tokens),
            suite=loaded.name,
            tasks=tasks,
            folder=out or settings.home / kind / f"{loaded.name}-{split}-{student.uri.replace('/', '-')}",
            boxes=boxes,
            title=f"{loaded.name}, {split}, {len(tasks)} tasks, {student.uri}",
            remarks=[f"The answers are from: {student.label}."] if student.label else [],
        )

    def server(self, *arguments: str) -> ServerEntry:
        """Return a server of the boxes, with further arguments of `boxwright serve`."""
        return box_server(*arguments, *(part for box in self.boxes for part in ("--box", box)))
