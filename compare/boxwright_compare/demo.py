"""The whole chain on one screen: mine, publish, serve, answer, compare. What `make demo` runs."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from boxwright.errors import BadInput, CallerMustHandle
from boxwright.files import write_atomically
from boxwright.models import ChatModel, load_model
from boxwright.registry import Registry, publish
from boxwright.sandbox import Sandbox, ToolRunner, choose_sandbox
from boxwright.settings import Settings
from boxwright.tasks import load_suite
from boxwright.tasks.task import tasks_digest
from boxwright_compare.arms import ArmName, ArmResult, run_arm
from boxwright_compare.bars import bar
from boxwright_compare.paired import ArmSummary, Paired, compare_pair, summarise
from boxwright_compare.report import write_report
from boxwright_student.mcp_tools import box_server
from boxwright_teacher.mine import Mined, Miner
from boxwright_teacher.run_folder import RunFolder

MARK = ".boxwright-demo"
RECORDING = "teacher.hand-written.jsonl"
SUITE = "game24"
BUILD_TASKS, DEV_TASKS = 10, 20
STUDENTS: dict[ArmName, str] = {"bare": "pocket", "boxes": "pocket", "tuned": f"pocket/{SUITE}", "rules": "rules"}
"""Who answers in each arm."""


@dataclass(frozen=True)
class DemoResult:
    """What the demo made."""

    mined: Mined
    paired: Paired
    others: list[ArmSummary]
    """The arms beside the two that are compared."""
    files: list[Path]
    seconds: float


def recording_uri() -> str:
    """Return the URI of the hand-written completions that stand in for a teacher."""
    return f"recorded/{resources.files('boxwright_compare').joinpath('fixtures', RECORDING)}"


async def run_demo(out: Path, settings: Settings, console: Console) -> DemoResult:
    """Run the chain into a fresh folder, telling each step on the console.

    Raises:
        BadInput: The folder holds something else.
        CallerMustHandle: A link of the chain did not hold; the message says which.
    """
    started = time.monotonic()
    _start_anew(out)
    settings = settings.model_copy(update={"registry": out / "registry", "library": False})
    sandbox = choose_sandbox(settings)
    students = {arm: load_model(uri, settings) for arm, uri in STUDENTS.items()}  # what is missing shows at once
    say = console.print
    say(f"[bold]1. Mine[/bold] {BUILD_TASKS} build tasks of {SUITE}, sandbox {sandbox.name}")
    teacher = load_model(recording_uri(), settings)
    say(f"   [yellow]teacher: {teacher.label} completions.[/yellow] No model is asked; with a key, GPT-4o would be.")
    mined = await _mine(out, teacher, sandbox, settings, console)
    say("[bold]2. Publish[/bold] the candidate into a fresh registry")
    async with ToolRunner(sandbox) as runner:
        release = await publish(
            Path(mined.candidate), Registry(settings.registry_folder), runner, record={"mined_from": mined.kept}
        )
    say(f"   {release.title}  {release.digest[:19]}…  tools: {', '.join(release.served(one) for one in release.tools)}")
    say(f"[bold]3. Serve[/bold] it over MCP and have a live student [bold]answer[/bold] {DEV_TASKS} dev tasks")
    say(
        "   student: `pocket`, a model of 25 million parameters that ships with the product and runs here, in llama.cpp"
    )
    first, second, *others = await _answer(out, settings, students, console)
    say("[bold]4. Compare[/bold] it alone and with the box, task by task")
    paired, beside = compare_pair(first, second), [summarise(arm) for arm in others]
    remarks = [
        f"The box was mined from {teacher.label} completions.",
        "bare and boxes: `pocket`, a small model that the product made from generated episodes; its model card "
        "(`boxwright_training/pocket/CARD.md`) says what it can do. In earnest, take a model of 1B or more.",
        f"tuned: that model, fine-tuned on what a program wrote (`boxwright train oracle {SUITE}`), with the box.",
        "rules: a baseline with the box, not a language model; it goes by the words that question and tool share.",
    ]
    files = write_report(paired, f"Demo: {SUITE}, {DEV_TASKS} dev tasks", out, remarks, beside)
    return DemoResult(mined, paired, beside, files, time.monotonic() - started)


def _start_anew(out: Path) -> None:
    """Empty the folder if it is an earlier demo's; anything else in it is somebody's own."""
    mark = out / MARK
    if out.exists() and not mark.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{str(out)!r} is there and is not an earlier demo's; choose another folder with --out")
    shutil.rmtree(out, ignore_errors=True)
    write_atomically(mark, "Made by `boxwright demo`, which empties this folder when it is run again.\n")


async def _mine(out: Path, teacher: ChatModel, sandbox: Sandbox, settings: Settings, console: Console) -> Mined:
    suite = load_suite(SUITE)
    tasks = suite.split("build", BUILD_TASKS)
    folder = RunFolder(out / "mine", {"suite": suite.name, "tasks": tasks_digest(tasks), "teacher": teacher.uri})
    with Progress(console=console, transient=True) as progress:
        advance = bar(progress, "   attempts", len(tasks))
        miner = Miner(
            suite,
            tasks,
            teacher,
            folder,
            sandbox,
            Registry(settings.registry_folder),
            dollars=settings.budget_usd,
            tokens=settings.budget_tokens,
            say=lambda text: console.print(f"   {text}", markup=False),
        )
        mined = await miner.run(on_attempt=advance)
    if not mined.box:
        raise CallerMustHandle(f"the demo mined no box: {'; '.join(mined.faults)}")
    return mined


async def _answer(
    out: Path, settings: Settings, students: dict[ArmName, ChatModel], console: Console
) -> list[ArmResult]:
    tasks = load_suite(SUITE).split("dev", DEV_TASKS)
    server = box_server("--registry", str(settings.registry_folder))
    server = server.model_copy(update={"env": {**(server.env or {}), "BOXWRIGHT_LIBRARY": "false"}})
    results = []
    with Progress(console=console, transient=True) as progress:
        for name, model in students.items():
            advance = bar(progress, f"   {name}", len(tasks))
            results.append(await run_arm(name, model, tasks, SUITE, out, server=server, on_done=advance))
    return results


def next_steps() -> list[str]:
    """Return how to do the same with a model of the reader's own."""
    lines = [
        "Do it in earnest:",
        "  a student of your own:  boxwright compare game24 --limit 20 --model ollama/qwen3:8b",
        "  a teacher of your own:  OPENAI_API_KEY=… boxwright mine game24 --teacher litellm/gpt-4o",
        "  any MCP client:         boxwright serve   (or: boxwright serve --http)",
        "  what is missing here:   boxwright doctor",
    ]
    if not os.environ.get("VIRTUAL_ENV"):
        lines.append("(the command lies in .venv/bin)")
    return lines
