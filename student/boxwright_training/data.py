"""From files of trajectories to the rows of a run: read, filtered, parted from what is held out, segmented."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwright.errors import BadInput
from boxwright.jsontypes import digest
from boxwright.tasks.suites import masked
from boxwright.traces import Trajectory
from boxwright_training.filters import filtered
from boxwright_training.importers import Sourced, read_trajectories
from boxwright_training.recipes import Method, Recipe
from boxwright_training.spans import Row, Rows, Segmenter

__all__ = ["Data", "load", "method_of"]


@dataclass(frozen=True)
class Data:
    """What a run learns from, and what it is tried on."""

    rows: list[Row]
    methods: list[Method]
    """The method of each row's trajectory."""
    held_out: list[Row]
    told: list[str]
    """Lines that say what became of the files."""
    counts: dict[str, Any]
    """The same as numbers, for the model card."""
    digest: str
    """Of the trajectories that are learned."""


def method_of(trajectory: Trajectory) -> Method:
    """Say whether a trajectory acts or only reasons."""
    # Not `calls`: what imported code called is not known.
    return "acts" if any(one.tool_calls or one.acts for one in trajectory.messages) else "reasoning"


def load(
    paths: Sequence[Path],
    recipe: Recipe,
    segmenter: Segmenter,
    window: int,
    *,
    held_out: float = 0.0,
    held_out_paths: Sequence[Path] = (),
) -> Data:
    """Read trajectories and turn them into rows.

    What is held out is a share of the questions, chosen by the hash of their text with its numbers masked: whatever
    the files and their order, a question is held out or not, and so are all that differ from it in numbers alone.

    Raises:
        BadInput: Nothing is left to learn, or a held-out question is in the training files.
    """
    found, told, counts = _kept(paths, recipe)
    if held_out_paths:
        apart, more, counts["held-out files"] = _kept(held_out_paths, recipe)
        told += more
        _refuse_shared(found, apart)
    else:
        asked = {one.trajectory.prompt for one in found}
        kept_apart = {prompt for prompt in asked if _is_held_out(prompt, held_out)}
        apart = [one for one in found if one.trajectory.prompt in kept_apart]
        found = [one for one in found if one.trajectory.prompt not in kept_apart]
    methods = {one.source: method_of(one.trajectory) for one in found}
    rows, tried = segmenter.rows(found, window), segmenter.rows(apart, window)
    told += [rows.told(), *([f"held out: {tried.told()}"] if apart else [])]
    if not rows.rows:
        more = ["every question is held out: give more trajectories, or --held-out 0"] if apart and not found else []
        raise BadInput("\n".join(["no trajectory is left to learn:", *told, *more]))
    if held_out and not held_out_paths and not apart:
        told.append(f"no question fell to the {held_out:.0%} that is held out: how well it does will not be known")
    counts |= {"learned": _numbers(rows), "held out": _numbers(tried)}
    return Data(
        rows.rows,
        [methods[row.source] for row in rows.rows],
        tried.rows,
        told,
        counts,
        digest([one.trajectory.model_dump(mode="json", exclude={"started"}) for one in found]),
    )


def _kept(paths: Sequence[Path], recipe: Recipe) -> tuple[list[Sourced], list[str], dict[str, Any]]:
    imported = read_trajectories(paths)
    kept, reasons = filtered(imported.found, recipe.filters)
    chosen = [one for one in kept if method_of(one.trajectory) in recipe.methods]
    if len(chosen) < len(kept):
        reasons["of a method that the recipe leaves out"] = len(kept) - len(chosen)
    formats = ", ".join(f"{count} {name}" for name, count in sorted(imported.by_format.items()))
    told = [
        f"{len(imported.found)} trajectories read ({formats}): "
        + ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    ]
    told += imported.faults[:20]
    if len(imported.faults) > 20:
        told.append(f"... and {len(imported.faults) - 20} more that are no trajectories")
    counts = {"read": dict(imported.by_format), "no trajectories": len(imported.faults), "filters": reasons}
    return chosen, told, counts


def _is_held_out(prompt: str, share: float) -> bool:
    place = int.from_bytes(hashlib.sha256(masked(prompt).encode("utf-8", "replace")).digest()[:8])
    return place < share * 2**64


def _refuse_shared(found: Sequence[Sourced], apart: Sequence[Sourced]) -> None:
    learned = {one.trajectory.prompt for one in found}
    shared = [one.source for one in apart if one.trajectory.prompt in learned]
    if shared:
        raise BadInput(
            f"{len(shared)} of the held-out questions are in the training files too, the first at {shared[0]}: what is "
            "learned says nothing when it is tried; take them out of one of the two"
        )


def _numbers(rows: Rows) -> dict[str, int]:
    return {"rows": len(rows.rows), "faults": len(rows.faults), **rows.counts}
