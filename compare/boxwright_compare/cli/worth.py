"""Measure what each mounted tool is worth to the student, and name those it does as well without."""

from __future__ import annotations

from typing import Any

import click
from rich.progress import Progress

from boxwright.terminal import notes, run_async, screen
from boxwright_compare.bars import bar
from boxwright_compare.cli.options import Asking, asking_options
from boxwright_compare.worth import Worth, measure
from boxwright_compare.worth_report import LEGEND, conclusion, tables, write_worth


@click.command()
@asking_options
def worth(concurrency: int, **given: Any) -> None:
    """Have the student answer SUITE without each tool in turn, and say which tools it does as well without.

    SUITE is run once for each tool that is mounted, and up to four times more: name the boxes with --box.
    """
    asking = Asking.of("worth", **given)
    # A search in the place of the tools would be the only tool there is to hide.
    server = asking.server("--listing", "tools")

    async def go(progress: Progress) -> Worth:
        return await measure(
            asking.model,
            asking.tasks,
            asking.suite,
            asking.folder,
            server=server,
            concurrency=concurrency,
            on_arm=lambda name: bar(progress, name, len(asking.tasks)),
        )

    with Progress(console=notes()) as progress:
        found = run_async(go(progress))
    title = f"What tools are worth: {asking.title}"
    written = write_worth(found, title, asking.folder, asking.remarks)
    for table, legend in zip(tables(found, title), LEGEND, strict=True):
        screen().print(table)
        screen().print(legend, markup=False)
    for line in (*asking.remarks, *(f"written: {path}" for path in written), *conclusion(found)):
        screen().print(line, markup=False)
