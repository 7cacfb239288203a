"""The model card that lies beside trained weights: what they were made of, how, and how well they fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boxwright.files import write_atomically
from boxwright.jsontypes import pretty

__all__ = ["write_card"]


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
    losses = [line for line in history if "loss" in line]
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
        f"# {Path(resolved['model']).name}, trained by the recipe `{recipe['name']}`",
        "",
        f"{recipe['summary']} ({method}). {recipe['paper']}",
        "",
        "| | |",
        "| --- | --- |",
        f"| student | {resolved['model']} |",
        f"| teacher | {resolved['teacher'] or 'none: cross-entropy'} |",
        f"| data | {resolved['rows']} rows, digest `{resolved['data_digest']}` |",
        f"| steps | {losses[-1]['step'] if losses else 0} of {recipe['optimisation']['batch']} rows |",
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


def _fit(before: dict[str, float], after: dict[str, float]) -> list[str]:
    if not after:
        return ["Nothing was held out, so nothing is known of how well it does.", ""]
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
        *(
            f"| {name} | {form.format(before[key]) if before else '-'} | {form.format(after[key])} |"
            for name, key, form in rows
        ),
        "",
    ]
