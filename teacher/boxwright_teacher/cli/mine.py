"""Mine a box from a suite's build tasks with a teacher model."""

from __future__ import annotations

from pathlib import Path

import click
from rich.progress import Progress

from boxwright.errors import CallerMustHandle, ReleaseExists
from boxwright.jsontypes import digest
from boxwright.models import load_model
from boxwright.registry import open_registry, publish, same_source
from boxwright.sandbox import ToolRunner, choose_sandbox
from boxwright.settings import Settings
from boxwright.tasks import Suite, Task, load_suite, split_tasks
from boxwright.tasks.task import tasks_digest
from boxwright.terminal import notes, run_async, screen
from boxwright_teacher.estimate import estimate
from boxwright_teacher.mine import Mined, Miner
from boxwright_teacher.prompt_files import prompt, prompts_digest
from boxwright_teacher.run_folder import RunFolder


@click.command()
@click.argument("suite")
@click.option("--teacher", help="The model (default: BOXWRIGHT_TEACHER, litellm/gpt-4o).")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(min=1), help="How many build tasks.")
@click.option("--run", "run_path", type=click.Path(path_type=Path), help="The run folder; the same one is resumed.")
@click.option("--registry", type=click.Path(path_type=Path), help="The registry folder (default: yours).")
@click.option("--publish", "publish_it", is_flag=True, help="Publish the candidate without a person reading it first.")
@click.option("--budget-usd", type=click.FloatRange(min=0), help="Stop cleanly at this many dollars.")
@click.option("--budget-tokens", type=click.IntRange(min=0), help="Stop cleanly at this many tokens.")
@click.option("--concurrency", default=4, show_default=True, type=click.IntRange(1, 64))
@click.option("--dry-run", is_flag=True, help="Print what would be sent, and send nothing.")
def mine(
    suite: str,
    teacher: str | None,
    limit: int,
    run_path: Path | None,
    registry: Path | None,
    publish_it: bool,
    budget_usd: float | None,
    budget_tokens: int | None,
    concurrency: int,
    dry_run: bool,
) -> None:
    """Have the teacher attempt build tasks of SUITE, and turn what it computed into a verified box."""
    given = {"registry": registry, "teacher": teacher, "budget_usd": budget_usd, "budget_tokens": budget_tokens}
    settings = Settings().model_copy(update={key: value for key, value in given.items() if value is not None})
    loaded = load_suite(suite)
    tasks = split_tasks(loaded, "build", limit)  # only those may be mined
    out = notes()
    out.print(
        f"{len(tasks)} build tasks of {loaded.name}, teacher {settings.teacher}: "
        f"{estimate(len(tasks), settings.teacher)}"
    )
    if dry_run:
        screen().print(f"system:\n{prompt('attempt')}\n\nuser:\n{tasks[0].prompt}", markup=False)
        screen().print(f"\nthen, for the draft:\n{prompt('draft', solved='(the kept attempts)')}", markup=False)
        return
    mined = run_async(_run(loaded, tasks, settings, run_path, concurrency, publish_it))
    if not mined.box:
        raise CallerMustHandle("no box was made:\n" + "\n".join(f"  - {fault}" for fault in mined.faults))


async def _run(
    suite: Suite, tasks: list[Task], settings: Settings, path: Path | None, concurrency: int, publish_it: bool
) -> Mined:
    out = notes()
    inputs = {
        "suite": suite.name,
        "tasks": tasks_digest(tasks),
        "teacher": settings.teacher,
        "prompts": prompts_digest(),
    }
    folder = RunFolder(path or settings.home / "runs" / f"mine-{suite.name}-{digest(inputs)[7:15]}", inputs)
    teacher = load_model(settings.teacher, settings)
    if teacher.label:
        out.print(f"the teacher's completions are: {teacher.label}", style="yellow")
    registry, sandbox = open_registry(settings), choose_sandbox(settings)
    budget = {"dollars": settings.budget_usd, "tokens": settings.budget_tokens}
    with Progress(console=out) as progress:
        bar = progress.add_task("attempts", total=len(tasks))
        miner = Miner(
            suite,
            tasks,
            teacher,
            folder,
            sandbox,
            registry,
            say=lambda text: progress.console.print(text, markup=False),
            **budget,  # type: ignore[arg-type]  # the two are a float and an int
        )
        mined = await miner.run(concurrency=concurrency, on_attempt=lambda _: progress.advance(bar))
    screen().print(f"run folder {folder.path}", markup=False)
    if mined.box and publish_it:
        async with ToolRunner(sandbox) as runner:
            try:
                release = await publish(Path(mined.candidate), registry, runner, record={"mined_from": mined.kept})
                said = "published"
            except ReleaseExists:  # by an earlier start of this run
                release, said = registry.get(*mined.box.split()), "published already:"
                if not same_source(Path(mined.candidate), release):
                    raise
        screen().print(f"{said} {release.title} in {settings.registry_folder}\n{release.digest}", markup=False)
    elif mined.box:
        screen().print(
            f"candidate {mined.box}: read {mined.candidate}/tools.py, then publish it with\n"
            f"  boxwright boxes publish {mined.candidate}",
            markup=False,
        )
    return mined
