"""Run the student over a suite's tasks and score its answers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import click

from boxwright.errors import BadInput
from boxwright.files import writable
from boxwright.jsontypes import digest
from boxwright.models import Budgeted, load_model
from boxwright.models.base import Usage
from boxwright.settings import Settings
from boxwright.tasks import Split, load_suite, split_tasks
from boxwright.tasks.task import SPLITS
from boxwright.terminal import notes
from boxwright.traces import TraceStore, Trajectory
from boxwright.visible import visible
from boxwright_student.cli.consent import refuse
from boxwright_student.cli.exits import errors, failures_as_json, run_command
from boxwright_student.cli.options import AgentOptions, agent_options
from boxwright_student.cli.screen import Screen
from boxwright_student.suite_run import run_tasks


@click.command()
@click.argument("suite")
@agent_options
@click.option("--split", type=click.Choice(SPLITS), default="dev", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many tasks.")
@click.option("--concurrency", default=4, show_default=True, type=click.IntRange(1, 64), help="Attempts at a time.")
@click.option("--yes", is_flag=True, help="Let tools that may change something be called.")
@click.option("--out", type=click.Path(path_type=Path), help="The trajectories' file; a second run goes on with it.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def run(
    suite: str,
    options: AgentOptions,
    split: str,
    limit: int | None,
    concurrency: int,
    yes: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run the student over SUITE, a name or a tasks.jsonl, and print how many answers are right."""
    with failures_as_json(lambda: as_json), errors():
        figures, trajectories, store = _run(suite, options, split, limit, concurrency, yes, out)
        if as_json:
            click.echo(json.dumps(figures | {"written_to": str(store.path)}))
        else:
            _report(figures, trajectories, store)
        if options.logprobs and not any(message.written for one in trajectories for message in one.messages):
            notes().print(f"{figures['model']} gave no log-probabilities: take a server that has `top_logprobs`")


def _run(
    suite: str, options: AgentOptions, split: str, limit: int | None, concurrency: int, yes: bool, out: Path | None
) -> tuple[dict[str, Any], list[Trajectory], TraceStore]:
    settings = Settings()
    model = load_model(options.uri(settings), settings)
    loaded = load_suite(suite)
    tasks = split_tasks(loaded, cast(Split, split), limit)
    arm = digest([model.uri, options.bare, str(options.mcp), options.code, options.plan, options.samples])[7:15]
    store = TraceStore(out or settings.home / "trajectories" / f"{loaded.name}-{split}-{arm}.jsonl")
    budgeted = Budgeted(model, dollars=settings.budget_usd, tokens=settings.budget_tokens)
    tally = _Tally(f"{loaded.name} {split}", len(tasks))

    async def go() -> list[Trajectory]:
        async with options.tools(settings) as tools:
            agent = options.agent(budgeted, tools, None if yes else refuse(Screen()))
            return await run_tasks(agent, tasks, loaded.name, store, concurrency=concurrency, on_done=tally.add)

    with _alone(store.path), tally:
        trajectories = run_command(
            go(), lambda: f"stopped; {tally.done} of {len(tasks)} tasks are in {store.path}: the same command goes on"
        )
    about = {"model": model.uri, "label": model.label, "suite": loaded.name, "split": split}
    return about | _figures(trajectories), trajectories, store


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep a second run off the file: it would ask for everything again.

    Raises:
        BadInput: A run is writing the file, or it cannot be written.
    """
    from filelock import FileLock, Timeout

    with writable(path.parent):
        lock = FileLock(path.with_name(f".{path.name}.run.lock"), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise BadInput(f"another run is writing {path}; wait for it, or name another file with --out") from None
    try:
        yield
    finally:
        lock.release()


class _Tally:
    """The progress of a run: tasks done, how many of them right, tokens, and how fast it goes."""

    def __init__(self, what: str, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[told]}"), console=notes())
        self._bar = self._progress.add_task(what, total=total, told="")
        self._started = time.monotonic()
        self.done = self._right = 0
        self._usage = Usage()

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def add(self, trajectory: Trajectory) -> None:
        """Count a trajectory, of this run or an earlier one."""
        self.done += 1
        self._right += bool(trajectory.right)
        self._usage = self._usage + trajectory.usage
        minutes = (time.monotonic() - self._started) / 60
        rate = f", {self.done / minutes:.0f} tasks a minute" if minutes > 0 else ""
        told = f"{self._right} right, {self._usage.tokens} tokens{rate}"
        self._progress.update(self._bar, completed=self.done, told=told)


def _figures(trajectories: list[Trajectory]) -> dict[str, Any]:
    usage = sum((one.usage for one in trajectories), Usage())
    return {
        "tasks": len(trajectories),
        "right": sum(bool(one.right) for one in trajectories),
        "used_tools": sum(one.calls > 0 for one in trajectories),
        "tokens": usage.tokens,
        "model_seconds": round(usage.seconds, 3),
        "dollars": round(usage.dollars, 6),
        "ended": {
            end: sum(one.ended == end for one in trajectories) for end in sorted({o.ended for o in trajectories})
        },
    }


def _report(figures: dict[str, Any], trajectories: list[Trajectory], store: TraceStore) -> None:
    total = figures["tasks"]
    click.echo(f"model      {figures['model']}" + (f"  ({figures['label']})" if figures["label"] else ""))
    click.echo(f"right      {figures['right']} of {total}")
    click.echo(f"used tools {figures['used_tools']} of {total}")
    click.echo(f"tokens     {figures['tokens']}")
    click.echo(f"written to {store.path}")
    for one in [one for one in trajectories if not one.right][:5]:
        click.echo(visible(f"  wrong: {one.task}: {one.note or one.reason}"))
