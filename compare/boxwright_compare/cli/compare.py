"""Compare the student alone with the student and boxes on the same tasks."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click
from rich.progress import Progress

from boxwright.models import Budgeted, load_model
from boxwright.settings import Settings
from boxwright.tasks import Split, load_suite, split_tasks
from boxwright.tasks.task import SPLITS
from boxwright.terminal import notes, run_async, screen
from boxwright_compare.arms import ARMS, ArmResult, run_arm
from boxwright_compare.paired import compare_pair
from boxwright_compare.report import as_table, verdict, write_report
from boxwright_student.mcp_tools import box_server


@click.command()
@click.argument("suite")
@click.option("--model", help="The student (default: BOXWRIGHT_STUDENT).")
@click.option("--split", type=click.Choice(SPLITS), default="dev", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many tasks.")
@click.option("--box", "boxes", multiple=True, help="Mount only this box; may be given again.")
@click.option("--concurrency", default=4, show_default=True, type=click.IntRange(1, 64))
@click.option("--out", type=click.Path(path_type=Path), help="Where report and trajectories go; a second run goes on.")
def compare(
    suite: str,
    model: str | None,
    split: str,
    limit: int | None,
    boxes: tuple[str, ...],
    concurrency: int,
    out: Path | None,
) -> None:
    """Have the student answer SUITE without and with boxes, and compare the two task by task."""
    settings = Settings()
    student = load_model(model or settings.student, settings)
    loaded = load_suite(suite)
    tasks = split_tasks(loaded, cast(Split, split), limit)
    folder = out or settings.home / "compare" / f"{loaded.name}-{split}-{student.uri.replace('/', '-')}"
    budgeted = Budgeted(student, dollars=settings.budget_usd, tokens=settings.budget_tokens)
    server = box_server(*(part for box in boxes for part in ("--box", box)))

    async def go(progress: Progress) -> list[ArmResult]:
        results = []
        for name in ARMS:
            bar = progress.add_task(name, total=len(tasks))
            result = await run_arm(
                name,
                budgeted,
                tasks,
                loaded.name,
                folder,
                server=server,
                concurrency=concurrency,
                on_done=lambda _, bar=bar: progress.advance(bar),  # type: ignore[misc]  # a default argument binds it
            )
            results.append(result)
        return results

    with Progress(console=notes()) as progress:
        first, second = run_async(go(progress))
    paired = compare_pair(first, second)
    title = f"{loaded.name}, {split}, {len(tasks)} tasks, {student.uri}"
    remarks = [f"The answers are from: {student.label}."] if student.label else []
    screen().print(as_table(paired, title))
    for line in (*remarks, verdict(paired), *(f"written: {p}" for p in write_report(paired, title, folder, remarks))):
        screen().print(line, markup=False)
