"""List the suites and print their tasks as JSON lines."""

from __future__ import annotations

import click

from boxwright.tasks import load_suite, suite_names
from boxwright.tasks.task import SPLITS


@click.command()
@click.argument("suite", required=False)
@click.option("--split", type=click.Choice(SPLITS), help="Only this split.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many.")
def suites(suite: str | None, split: str | None, limit: int | None) -> None:
    """List the suites, or print the tasks of SUITE as JSON lines: a file to copy your own tasks.jsonl from."""
    if suite is None:
        for name in suite_names():
            loaded = load_suite(name)
            counts = ", ".join(f"{one} {len(loaded.split(one))}" for one in SPLITS)
            click.echo(f"{name}: {len(loaded.tasks)} tasks ({counts})")
        return
    tasks = [task for task in load_suite(suite).tasks if split in (None, task.split)]
    for task in tasks[:limit]:
        click.echo(task.model_dump_json(exclude_defaults=True))
