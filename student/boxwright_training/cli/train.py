"""Fine-tune a student on trajectories, span by span: the way beside the boxes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from boxwright.errors import ExtraMissing
from boxwright.terminal import notes
from boxwright.visible import visible
from boxwright_training.cli.convert import export, import_, oracle
from boxwright_training.cli.evaluate import evaluate
from boxwright_training.cli.look import inspect, memory, recipes
from boxwright_training.cli.options import Segmenting, segmenting_options

STOPPED = 3
"""Exit status of a run that was told to stop, and can go on."""


@click.group(invoke_without_command=True)
@click.option(
    "--data", multiple=True, type=click.Path(path_type=Path), help="A file or folder of trajectories; may be repeated."
)
@click.option(
    "--model", help="The student: a folder, a name on the Hugging Face Hub, `pocket` or another such .gguf file."
)
@click.option("--out", type=click.Path(path_type=Path), help="The folder of the run.")
@segmenting_options
@click.option("--teacher", help="A local teacher with the student's tokenizer, or 'stored'.")
@click.option(
    "--cache",
    default=0,
    show_default=True,
    type=click.IntRange(0, 512),
    help="Ask the teacher once and keep its likeliest tokens, so many.",
)
@click.option(
    "--held-out",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 0.9),
    help="The share of questions that is kept to try the student on.",
)
@click.option(
    "--held-out-data", multiple=True, type=click.Path(path_type=Path), help="Files to try it on, in place of a share."
)
@click.option(
    "--device-batch", default=1, show_default=True, type=click.IntRange(min=1), help="Rows that a device takes at once."
)
@click.option("--steps", type=click.IntRange(min=1), help="Steps, in place of the recipe's epochs.")
@click.option("--no-checkpointing", is_flag=True, help="Keep activations: faster, and far more memory.")
@click.option("--precision", default="auto", show_default=True, type=click.Choice(["auto", "bf16", "float32"]))
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu"]))
@click.option(
    "--chunk",
    type=click.IntRange(min=1),
    help="Positions whose logits are in memory at once (default: 256 on a GPU, 64 on a CPU).",
)
@click.option(
    "--save-every", default=100, show_default=True, type=click.IntRange(min=1), help="Steps between checkpoints."
)
@click.option(
    "--log-every", default=5, show_default=True, type=click.IntRange(min=1), help="Steps between lines of the log."
)
@click.option("--fsdp", is_flag=True, help="Shard the weights over the processes that torchrun started.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1))
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print what came out as JSON.")
@click.pass_context
def train(context: click.Context, /, **given: Any) -> None:
    """Fine-tune a student on trajectories, or prepare and look at what it learns from.

    \b
    boxwright train oracle game24 --count 500 --out data/game24.jsonl
    boxwright train --data data --model Qwen/Qwen3-0.6B --recipe kang --out run
    boxwright train export run/model --out exported
    """
    if context.invoked_subcommand is not None:
        return
    missing = [f"--{name}" for name in ("data", "model", "out") if not given[name]]
    if missing:
        raise click.UsageError(f"{' and '.join(missing)} missing; `boxwright train --help` shows what a run takes")
    _train(**given)


for command in (oracle, import_, recipes, inspect, memory, evaluate, export):
    train.add_command(command)


def _train(*, resume: bool, as_json: bool, segmenting: Segmenting, no_checkpointing: bool, **given: Any) -> None:
    recipe, template_options = segmenting.load_recipe(), segmenting.template_options
    try:
        from boxwright_training.loading import quiet
        from boxwright_training.training import Run, train
    except ImportError as error:
        raise ExtraMissing("training", "train") from error
    run = Run(
        recipe=recipe,
        window=segmenting.window,
        thoughts=segmenting.thoughts,
        template=segmenting.template,
        template_options=template_options,
        checkpointing=not no_checkpointing,
        **given,
    )
    with quiet():
        done = train(run, resume=resume, tell=lambda line: notes().print(visible(line), markup=False))
    if os.environ.get("RANK", "0") != "0":  # one of torchrun's others
        return
    if as_json:
        click.echo(json.dumps({**vars(done), "model": str(done.model)}))
    else:
        _report(done, run)
    if done.stopped:
        click.get_current_context().exit(STOPPED)


def _report(done: Any, run: Any) -> None:
    if done.stopped:
        click.echo(f"stopped after {done.steps} steps; the same command with --resume goes on from {done.model}")
        return
    click.echo(f"{done.steps} steps; the model is in {done.model}")
    for name, key in (
        ("reasoning, nats a token", "reason"),
        ("acts, nats a token", "act"),
        ("acts exact", "exact_act"),
    ):
        if key in done.after:
            before = f"{done.before[key]:.4f}" if key in done.before else "-"
            click.echo(f"held out: {name:24} {before} -> {done.after[key]:.4f}")
    click.echo(f"next: boxwright train export {done.model} --out {run.out / 'exported'}")
