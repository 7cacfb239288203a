"""Run the student over a suite's tasks and score its answers."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click
from rich.progress import Progress

from boxwright.jsontypes import digest
from boxwright.models import Budgeted, load_model
from boxwright.settings import Settings
from boxwright.tasks import Split, load_suite, split_tasks
from boxwright.tasks.task import SPLITS
from boxwright.terminal import notes, run_async, screen
from boxwright.traces import TraceStore, Trajectory
from boxwright_student.agent import Agent, Bounds
from boxwright_student.mcp_tools import box_server, connect, read_mcp_json
from boxwright_student.suite_run import run_tasks
from boxwright_student.toolset import NoTools


@click.command()
@click.argument("suite")
@click.option("--model", help="The model (default: BOXWRIGHT_STUDENT).")
@click.option("--split", type=click.Choice(SPLITS), default="dev", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many tasks.")
@click.option("--mcp", type=click.Path(path_type=Path), help="An mcp.json; without it, our box server is started.")
@click.option("--bare", is_flag=True, help="Without any tool.")
@click.option("--concurrency", default=4, show_default=True, type=click.IntRange(1, 64))
@click.option("--out", type=click.Path(path_type=Path), help="The trajectories' file; a second run goes on with it.")
def run(
    suite: str,
    model: str | None,
    split: str,
    limit: int | None,
    mcp: Path | None,
    bare: bool,
    concurrency: int,
    out: Path | None,
) -> None:
    """Run the student over SUITE, a name or a tasks.jsonl, and print how many answers are right."""
    settings = Settings()
    student = load_model(model or settings.student, settings)
    loaded = load_suite(suite)
    tasks = split_tasks(loaded, cast(Split, split), limit)
    arm = digest([student.uri, bare, str(mcp)])[7:15]
    store = TraceStore(out or settings.home / "trajectories" / f"{loaded.name}-{split}-{arm}.jsonl")
    budgeted = Budgeted(student, dollars=settings.budget_usd, tokens=settings.budget_tokens)

    async def go(progress: Progress) -> list[Trajectory]:
        bar = progress.add_task(f"{loaded.name} {split}", total=len(tasks))
        options = {"concurrency": concurrency, "on_done": lambda _: progress.advance(bar)}
        if bare:
            return await run_tasks(Agent(budgeted, NoTools()), tasks, loaded.name, store, **options)  # type: ignore[arg-type]
        async with connect(read_mcp_json(mcp) if mcp else {"boxwright": box_server()}) as tools:
            return await run_tasks(Agent(budgeted, tools, bounds=Bounds()), tasks, loaded.name, store, **options)  # type: ignore[arg-type]

    with Progress(console=notes()) as progress:
        trajectories = run_async(go(progress))
    _report(trajectories, student.uri, student.label, store)


def _report(trajectories: list[Trajectory], uri: str, label: str, store: TraceStore) -> None:
    right = sum(bool(one.right) for one in trajectories)
    called = sum(one.calls > 0 for one in trajectories)
    tokens = sum(one.usage.tokens for one in trajectories)
    out = screen()
    out.print(f"model      {uri}" + (f"  ({label})" if label else ""))
    out.print(f"right      {right} of {len(trajectories)}")
    out.print(f"used tools {called} of {len(trajectories)}")
    out.print(f"tokens     {tokens}")
    out.print(f"written to {store.path}")
    wrong = [one for one in trajectories if not one.right]
    for one in wrong[:5]:
        out.print(f"  wrong: {one.task}: {one.note or one.reason}", markup=False)
