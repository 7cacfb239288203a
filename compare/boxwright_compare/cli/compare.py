"""Compare the student alone with the student and boxes on the same tasks."""

from __future__ import annotations

from typing import Any

import click
from rich.progress import Progress

from boxwright.terminal import notes, run_async, screen
from boxwright_compare.arms import ARMS, ArmResult, run_arm
from boxwright_compare.bars import bar
from boxwright_compare.cli.options import Asking, asking_options
from boxwright_compare.paired import compare_pair
from boxwright_compare.report import as_table, verdict, write_report


@click.command()
@asking_options
def compare(concurrency: int, **given: Any) -> None:
    """Have the student answer SUITE without and with boxes, and compare the two task by task."""
    asking = Asking.of("compare", **given)
    server = asking.server()

    async def go(progress: Progress) -> list[ArmResult]:
        return [
            await run_arm(
                name,
                asking.model,
                asking.tasks,
                asking.suite,
                asking.folder,
                server=server,
                concurrency=concurrency,
                on_done=bar(progress, name, len(asking.tasks)),
            )
            for name in ARMS
        ]

    with Progress(console=notes()) as progress:
        first, second = run_async(go(progress))
    paired = compare_pair(first, second)
    screen().print(as_table(paired, asking.title))
    written = write_report(paired, asking.title, asking.folder, asking.remarks)
    for line in (*asking.remarks, verdict(paired), *(f"written: {path}" for path in written)):
        screen().print(line, markup=False)
