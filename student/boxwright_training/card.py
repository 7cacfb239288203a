"""The model card that lies beside trained weights: what they were made of, how, and how well they fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from boxwright.files import write_atomically
from boxwright.jsontypes import pretty

__all__ = ["write_card"]

PATHS = ("data", "held_out_data", "template", "cache_folder")
"""What names files and folders in a configuration."""
NAMES = ("model", "teacher")
"""What may name a folder, or else a model on a hub."""


def write_card(
    folder: Path,
    resolved: dict[str, Any],
    counts: dict[str, Any],
    history: Sequence[dict[str, Any]],
    before: dict[str, float],
    after: dict[str, float],
) -> None:
    """Write README.md and training.json into a model's folder.

    Args:
        folder: Where the weights are.
        resolved: The configuration of the run.
        counts: What became of its data.
        history: The lines of its log.
        before: How well held-out trajectories were fitted before training.
        after: The same afterwards.
    """
    resolved = _without_folders(resolved)
    everything = {"configuration": resolved, "data": counts, "before": before, "after": after, "log": list(history)}
    write_atomically(folder / "training.json", pretty(everything))
    recipe = resolved["recipe"]
    method = "LoRA" if recipe["adapter"] else "all weights"
    lines = [
        "---",
        f"base_model: {resolved['model']}",
        "tags: [boxwright, tool-calling, distillation]",
        "---",
        "",
        f"# {PurePath(resolved['model']).name}, trained by the recipe `{recipe['name']}`",
        "",
        f"{recipe['summary']} ({method}). {recipe['paper']}",
        "",
        "| | |",
        "| --- | --- |",
        f"| student | {resolved['model']} |",
        f"| teacher | {resolved['teacher'] or 'none: cross-entropy'} |",
        f"| data | {resolved['rows']} rows, digest `{resolved['data_digest']}` |",
        f"| steps | {max((line['step'] for line in history), default=0)} of {recipe['optimisation']['batch']} rows |",
        f"| seed | {resolved['seed']} |",
        f"| made with | torch {resolved['torch']}, transformers {resolved['transformers']}, on {resolved['device']} |",
        "",
        "What the data may be used for, their owners say: read the terms of the teacher's provider.",
        "",
        *_fit(before, after),
        "## Departures from the paper",
        "",
        *(f"- {line}" for line in recipe["departs"] or ["none that is known"]),
        "",
        "`training.json` holds the whole configuration, the counts of the data and the log.",
        "",
    ]
    write_atomically(folder / "README.md", "\n".join(lines))


def _without_folders(resolved: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration in which files and folders have their last name alone.

    Where they lie on this machine concerns nobody who is given the weights; names on a hub are left as they are.
    """

    folders = [key for key in NAMES if resolved.get(key) and Path(resolved[key]).exists()]
    return resolved | {key: _names(resolved[key]) for key in (*PATHS, *folders) if resolved.get(key)}


def _names(paths: str | list[str]) -> str | list[str]:
    return PurePath(paths).name if isinstance(paths, str) else [PurePath(path).name for path in paths]


def _fit(before: dict[str, float], after: dict[str, float]) -> list[str]:
    if not after:
        return ["No trajectory was held out that could be segmented, so nothing is known of how well it does.", ""]
    rows = [
        ("cross-entropy of reasoning, nats a token", "reason", "{:.4f}"),
        ("cross-entropy of acts, nats a token", "act", "{:.4f}"),
        ("acts that are exact, given the right ones before", "exact_act", "{:.1%}"),
    ]
    return [
        f"Held-out trajectories with {after['acts']:.0f} acts:",
        "",
        "| | before | after |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {_told(before, key, form)} | {_told(after, key, form)} |" for name, key, form in rows),
        "",
    ]


def _told(figures: dict[str, float], key: str, form: str) -> str:
    return form.format(figures[key]) if key in figures else "-"
