"""Measure what each mounted tool is worth to the student, and name those it does as well without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import click
from rich.progress import Progress

from boxwright.models import Budgeted, load_model
from boxwright.settings import Settings
from boxwright.tasks import Split, load_suite, split_tasks
from boxwright.tasks.task import SPLITS
from boxwright.terminal import notes, run_async, screen
from boxwright_compare.worth import Worth, measure
from boxwright_compare.worth_report import LEGEND, conclusion, tables, write_worth
from boxwright_student.mcp_tools import box_server


@click.command()
@click.argument("suite")
@click.option("--model", help="The student (default: BOXWRIGHT_STUDENT).")
@click.option("--split", type=click.Choice(SPLITS), default="dev", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many tasks.")
@click.option("--box", "boxes", multiple=True, help="Mount only this box; may be given again.")
@click.option("--concurrency", default=4, show_default=True, type=click.IntRange(1, 64))
@click.option("--out", type=click.Path(path_type=Path), help="Where report and trajectories go; a second run goes on.")
def worth(
    suite: str,
    model: str | None,
    split: str,
    limit: int | None,
    boxes: tuple[str, ...],
    concurrency: int,
    out: Path | None,
) -> None:
    """Have the student answer SUITE without each tool in turn, and say which tools it does as well without.

    SUITE is run once for each tool that is mounted, and up to four times more: name the boxes with --box.
    """
    settings = Settings()
    student = load_model(model or settings.student, settings)
    loaded = load_suite(suite)
    tasks = split_tasks(loaded, cast(Split, split), limit)
    folder = out or settings.home / "worth" / f"{loaded.name}-{split}-{student.uri.replace('/', '-')}"
    budgeted = Budgeted(student, dollars=settings.budget_usd, tokens=settings.budget_tokens)
    # A search in the place of the tools would be the only tool there is to hide.
    server = box_server("--listing", "tools", *(part for box in boxes for part in ("--box", box)))

    async def go(progress: Progress) -> Worth:
        def on_arm(name: str) -> Callable[[object], None]:
            bar = progress.add_task(name, total=len(tasks))
            return lambda _: progress.advance(bar)

        return await measure(
            budgeted, tasks, loaded.name, folder, server=server, concurrency=concurrency, on_arm=on_arm
        )

    with Progress(console=notes()) as progress:
        found = run_async(go(progress))
    title = f"What tools are worth: {loaded.name}, {split}, {len(tasks)} tasks, {student.uri}"
    remarks = [f"The answers are from: {student.label}."] if student.label else []
    written = write_worth(found, title, folder, remarks)
    for table, legend in zip(tables(found, title), LEGEND, strict=True):
        screen().print(table)
        screen().print(legend, markup=False)
    for line in (*remarks, *(f"written: {path}" for path in written), *conclusion(found)):
        screen().print(line, markup=False)
