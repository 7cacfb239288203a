"""Run the whole chain once, with no key, no model server and no torch."""

from __future__ import annotations

from pathlib import Path

import click

from boxwright.settings import Settings
from boxwright.terminal import run_async, screen
from boxwright_compare.demo import next_steps, run_demo
from boxwright_compare.report import as_table, verdict


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    help="Where everything goes; made anew each time.",
)
def demo(out: Path) -> None:
    """Mine a box from ten tasks, publish and serve it, have a student answer twenty others, and compare."""
    console = screen()
    result = run_async(run_demo(out, Settings(), console))
    console.print(as_table(result.paired, "without and with the box", result.others))
    console.print("tuned: fine-tuned, with the box; rules: a baseline that is no language model", markup=False)
    console.print(verdict(result.paired), markup=False)
    console.print(f"{result.seconds:.0f} seconds. Written: {', '.join(map(str, result.files))}\n", markup=False)
    for line in next_steps():
        console.print(line, markup=False)
