"""The command that tries a model on trajectories and on tasks. Part of `boxwright train`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, cast

import click

from boxwright.errors import BadInput, ExtraMissing
from boxwright.models import ChatModel
from boxwright.settings import Settings
from boxwright.tasks.task import SPLITS, Split
from boxwright.terminal import notes, run_async
from boxwright.visible import visible
from boxwright_training.cli.options import Segmenting, segmenting_options


@click.command()
@click.argument("model")
@click.option(
    "--data", multiple=True, type=click.Path(path_type=Path), help="Trajectories that it is to fit; may be repeated."
)
@segmenting_options
@click.option("--suite", help="Tasks for the student's own loop: a name or a tasks.jsonl.")
@click.option("--split", default="test", show_default=True, type=click.Choice(SPLITS))
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many tasks.")
@click.option("--bare", is_flag=True, help="Without any tool.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The file of the loop's trajectories; a second run goes on with it."
)
@click.option("--device-batch", default=4, show_default=True, type=click.IntRange(min=1), help="Rows at once.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def evaluate(
    model: str, data: tuple[Path, ...], suite: str | None, segmenting: Segmenting, as_json: bool, **given: Any
) -> None:
    """Try MODEL, weights or an adapter: how well it fits trajectories, and which tasks it solves in our own loop."""
    if not data and not suite:
        raise click.UsageError("nothing to try it on: give --data, --suite or both")
    try:
        import torch

        from boxwright_training.exporting.from_gguf import unpacked
        from boxwright_training.loading import load_model, load_tokenizer, quiet
        from boxwright_training.own_loop import TransformersModel
    except ImportError as error:
        raise ExtraMissing("evaluating", "train") from error
    with quiet(), unpacked(model) as folder:
        tokenizer = load_tokenizer(folder, segmenting.template)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        loaded = load_model(folder, tokenizer, torch.bfloat16 if device.type == "cuda" else torch.float32).to(device)
        figures: dict[str, Any] = _fit(loaded, tokenizer, data, segmenting, given["device_batch"]) if data else {}
        if suite:
            figures |= run_async(
                _loop(
                    TransformersModel(loaded, tokenizer, segmenting.template_options, name=_name(model)), suite, given
                )
            )
    if as_json:
        click.echo(json.dumps({"model": model, **figures}))
        return
    for name, value in figures.items():
        click.echo(f"{name:14} {value:.4f}" if isinstance(value, float) else f"{name:14} {value}")


def _fit(model: Any, tokenizer: Any, data: tuple[Path, ...], segmenting: Segmenting, batch: int) -> dict[str, float]:
    from boxwright_training.attached import attach
    from boxwright_training.evaluation import evaluate as fit
    from boxwright_training.importers import read_trajectories
    from boxwright_training.loss import SpanLoss

    imported = read_trajectories(data)
    for fault in imported.faults:
        notes().print(visible(fault), markup=False)
    rows = segmenting.segmenter(tokenizer).rows(imported.found, segmenting.window)
    notes().print(visible(rows.told()), markup=False)
    if not rows.rows:
        raise BadInput("no trajectory is left to try it on")
    attach(model, SpanLoss())
    figures: dict[str, float] = fit(model, rows.rows, tokenizer.pad_token_id, batch=batch).figures()
    return figures


def _name(model: str) -> str:
    """Return a model's name with what its weights are: those in a folder or a file may be others tomorrow."""
    from boxwright_training.exporting.source import located

    file = Path(located(model))
    weights = [file] if file.is_file() else sorted(file.glob("*.safetensors"))
    if not weights:
        return model
    told = hashlib.sha256()
    for file in weights:
        with file.open("rb") as stream:
            told.update(hashlib.file_digest(stream, "sha256").digest())
    return f"{model}@{told.hexdigest()[:12]}"


async def _loop(chat: ChatModel, suite: str, given: dict[str, Any]) -> dict[str, Any]:
    from boxwright.tasks import load_suite, split_tasks
    from boxwright.traces import TraceStore
    from boxwright_student import Agent, NoTools, box_server, connect
    from boxwright_student.suite_run import run_tasks

    loaded = load_suite(suite)
    tasks = split_tasks(loaded, cast(Split, given["split"]), given["limit"])
    store = TraceStore(given["out"] or Settings().home / "trajectories" / f"{loaded.name}-trained.jsonl")
    if given["bare"]:
        done = await run_tasks(Agent(chat, NoTools()), tasks, loaded.name, store, concurrency=1)
    else:
        async with connect({"boxwright": box_server()}) as tools:
            done = await run_tasks(Agent(chat, tools), tasks, loaded.name, store, concurrency=1)
    right = sum(bool(one.right) for one in done)
    return {"tasks": len(done), "solved": right / len(done), "used tools": sum(one.calls > 0 for one in done)}
