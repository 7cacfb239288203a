"""Commands that show what would be learned and what it would take. Part of `boxwright train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from boxwright.errors import BadInput, ExtraMissing, NotFound
from boxwright.files import write_atomically
from boxwright.terminal import notes, screen
from boxwright.visible import visible
from boxwright_training.cli.options import Segmenting, segmenting_options

if TYPE_CHECKING:
    from boxwright_training.memory import Shape


@click.command()
def recipes() -> None:
    """List the recipes, each with its paper and where it departs from it."""
    from boxwright_training.recipes import load_recipe, recipe_names

    for name in recipe_names():
        recipe = load_recipe(name)
        click.echo(f"{name:10} {recipe.summary}\n           {recipe.paper}")
        for line in recipe.departs:
            click.echo(f"           - {line}")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", required=True, help="Whose tokenizer and chat template are used: as for `train`.")
@click.option("--number", default=1, show_default=True, type=click.IntRange(min=1), help="Which trajectory to show.")
@segmenting_options
@click.option("--tokens", is_flag=True, help="Show where each token ends.")
@click.option(
    "--html", type=click.Path(path_type=Path), help="Write a page of the first trajectories in place of showing one."
)
@click.option("--most", default=50, show_default=True, type=click.IntRange(min=1), help="How many go into the page.")
def inspect(
    paths: tuple[Path, ...],
    model: str,
    number: int,
    segmenting: Segmenting,
    tokens: bool,
    html: Path | None,
    most: int,
) -> None:
    """Show trajectories of PATHS coloured by span: what is given, learned as reasoning or as act, or observed."""
    try:
        from boxwright_training.exporting.from_gguf import unpacked
        from boxwright_training.inspecting import as_html, as_text, look
        from boxwright_training.loading import load_tokenizer
    except ImportError as error:
        raise ExtraMissing("inspecting spans", "train") from error
    from boxwright_training.importers import read_trajectories

    imported = read_trajectories(paths)
    with unpacked(model) as folder:
        segmenter = segmenting.segmenter(load_tokenizer(folder, segmenting.template))
    found = imported.found
    for fault in imported.faults:
        notes().print(visible(fault), markup=False)
    if html:
        if html.is_dir():
            raise BadInput(f"--html {str(html)!r} is a folder; name the file to write")
        page = as_html(
            [look(one, segmenter) for one in found[:most]], f"{len(found[:most])} of {len(found)} trajectories"
        )
        write_atomically(html, page)
        click.echo(f"{len(found[:most])} of {len(found)} trajectories in {html}")
        return
    if number > len(found):
        raise NotFound("trajectory", str(number), (), f"there are {len(found)}")
    out = screen()
    out.print(as_text(look(found[number - 1], segmenter), tokens=tokens, named=not out.is_terminal))
    notes().print(visible(segmenter.rows(found, segmenting.window).told()), markup=False)


@click.command()
@click.option(
    "--model", default="qwen3-8b", show_default=True, help="A known shape, or a folder or name with a config.json."
)
@click.option(
    "--rank", default=64, show_default=True, type=click.IntRange(min=0), help="Of LoRA; 0 trains all weights."
)
@click.option("--window", default=4096, show_default=True, type=click.IntRange(min=16))
@click.option("--device-batch", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--chunk", default=256, show_default=True, type=click.IntRange(min=1))
@click.option("--no-checkpointing", is_flag=True)
@click.option("--teacher", help="The shape of a teacher beside it; a cached one takes nothing.")
def memory(
    model: str, rank: int, window: int, device_batch: int, chunk: int, no_checkpointing: bool, teacher: str | None
) -> None:
    """Tell what memory a training step takes, part by part, computed from the model's shape."""
    from boxwright_training.memory import estimate

    found = estimate(
        _shape(model),
        rank=rank or None,
        window=window,
        batch=device_batch,
        chunk=chunk,
        checkpointing=not no_checkpointing,
        teacher=_shape(teacher) if teacher else None,
    )
    for name in ("weights", "trained", "activations", "head", "teacher", "total"):
        click.echo(f"{name:12} {getattr(found, name) / 2**30:7.2f} GiB")


def _shape(name: str) -> Shape:
    from boxwright_training.memory import SHAPES, Shape

    if name.lower() in SHAPES:
        return SHAPES[name.lower()]
    try:
        from transformers import AutoConfig

        return Shape.of(AutoConfig.from_pretrained(name))
    except (ImportError, OSError, ValueError, AttributeError) as error:
        raise NotFound(
            "model shape", name, SHAPES, f"one of {', '.join(SHAPES)}, or a folder with a config.json"
        ) from error
