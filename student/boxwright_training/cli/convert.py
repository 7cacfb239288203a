"""Commands that bring trajectories in and weights out. Part of `boxwright train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from boxwright.errors import BadInput, ExtraMissing
from boxwright.files import write_atomically
from boxwright.settings import Settings
from boxwright.tasks.task import SPLITS, Split
from boxwright.terminal import notes, run_async
from boxwright.traces import TraceStore
from boxwright.visible import visible

if TYPE_CHECKING:
    from boxwright_training.exporting.gguf_file import Precision

_out = click.option("--out", required=True, type=click.Path(path_type=Path), help="The file of trajectories to write.")


@click.command()
@click.argument("name")
@click.option("--count", default=200, show_default=True, type=click.IntRange(min=1), help="How many.")
@click.option(
    "--split",
    default="build",
    show_default=True,
    type=click.Choice(SPLITS),
    help="Train on `build`, try on the others.",
)
@click.option("--seed", default=0, show_default=True)
@click.option("--tasks", type=click.Path(path_type=Path), help="Write the tasks too, as a suite's tasks.jsonl.")
@_out
def oracle(name: str, count: int, split: Split, seed: int, tasks: Path | None, out: Path) -> None:
    """Write trajectories of the oracle NAME, a program that solves its tasks: arithmetic, dates, game24 or units."""
    from boxwright_training.oracles import oracle_tasks, write_trajectories

    if out.exists():
        raise BadInput(f"{str(out)!r} is there already; name another file, or remove it")
    if tasks:
        rows = oracle_tasks(name, split=split, count=count, seed=seed)
        write_atomically(tasks, "".join(f"{task.model_dump_json(exclude_defaults=True)}\n" for task in rows))
    run_async(write_trajectories(name, split=split, count=count, seed=seed, store=TraceStore(out), settings=Settings()))
    click.echo(f"{count} trajectories of {name} ({split}) in {out}")


@click.command(name="import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format", "form", default="auto", show_default=True, help="What the files hold, where it is not to be recognised."
)
@_out
def import_(paths: tuple[Path, ...], form: str, out: Path) -> None:
    """Read trajectories of other programs from PATHS, files or folders, and keep them as ours."""
    from boxwright_training.importers import read_trajectories

    if out.exists():
        raise BadInput(f"{str(out)!r} is there already; name another file, or remove it")
    imported = read_trajectories(paths, form)
    store = TraceStore(out)
    for one in imported.found:
        store.append(one.trajectory)
    for fault in imported.faults:
        notes().print(visible(fault), markup=False)
    formats = ", ".join(f"{count} {name}" for name, count in sorted(imported.by_format.items()))
    click.echo(f"{len(imported.found)} trajectories ({formats}) in {out}; {len(imported.faults)} rows were none")


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option("--base", help="The model below an adapter, where it is elsewhere now; a .gguf file too.")
@click.option(
    "--precision",
    default="F16",
    show_default=True,
    type=click.Choice(["F32", "F16", "BF16", "Q8_0"]),
    help="Of the file.",
)
@click.option(
    "--context", type=click.IntRange(min=256), help="The window that Ollama gives it (default: 8192, or what it has)."
)
@click.option("--system", help="What Ollama begins its conversations with.")
@click.option("--check", is_flag=True, help="Compare the greedy answers of llama.cpp and of transformers, in float32.")
def export(
    model: Path, out: Path, base: str | None, precision: Precision, context: int | None, system: str | None, check: bool
) -> None:
    """Write a trained MODEL, a folder of weights or of an adapter, for Ollama and llama.cpp."""
    try:
        from boxwright_training.loading import quiet
    except ImportError as error:
        raise ExtraMissing("exporting", "train") from error
    from boxwright_training.exporting.adapter_file import obstacle
    from boxwright_training.exporting.export import export as export_model

    with quiet():
        done = export_model(model, out, base=base, precision=precision, context=context, system=system)
        click.echo(f"weights    {done.weights}\nllama.cpp  {done.gguf}\nOllama     {done.modelfile}")
        if done.adapter_file:
            click.echo(
                f"alone      {done.adapter_file}, for the base's own file: llama-server --lora, Ollama's ADAPTER"
            )
        elif done.adapter:
            why = obstacle(done.adapter)
            notes().print(visible(f"the adapter alone is not written as GGUF: it has {why}"), markup=False)
        if check:
            _check(done.weights)
    click.echo(f"next: ollama create my-student -f {done.modelfile}, or boxwright ask ... --model gguf/{done.gguf}")


def _check(weights: Path) -> None:
    from boxwright_training.exporting.agreement import agree

    agreement = agree(weights)
    click.echo(str(agreement))
    if not agreement.holds:
        raise BadInput("llama.cpp does not say what the checkpoint says; do not use the file")
