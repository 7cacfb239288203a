"""How well a student fits held-out trajectories: its loss on each kind of span, and how many acts would be exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from boxwright_training.attached import FitOfBatch
from boxwright_training.batches import collate
from boxwright_training.spans import Row

__all__ = ["Fit", "evaluate"]


@dataclass
class Fit:
    """Sums over rows."""

    reason: float = 0.0
    """Cross-entropy in nats, summed over the tokens of reasoning."""
    act: float = 0.0
    reason_tokens: int = 0
    act_tokens: int = 0
    acts: int = 0
    """Stretches of act."""
    exact: int = 0
    """Those of which every token was the likeliest, given the right ones before it."""

    def add(self, found: FitOfBatch) -> None:
        """Add what was found of a batch."""
        self.reason += float(found.reason)
        self.act += float(found.act)
        self.reason_tokens += found.reason_tokens
        self.act_tokens += len(found.positions)
        if len(found.positions):
            # A stretch begins where the position before is none of its own.
            starts = np.flatnonzero(np.diff(found.positions.cpu().numpy(), prepend=-2) != 1)
            exact = np.logical_and.reduceat(found.right.cpu().numpy(), starts)
            self.acts += len(starts)
            self.exact += int(exact.sum())

    def figures(self) -> dict[str, float]:
        """Return means and shares by their names; of what there is none, nothing."""
        sums = {
            "reason": (self.reason, self.reason_tokens),
            "act": (self.act, self.act_tokens),
            "exact_act": (self.exact, self.acts),
        }
        return {name: total / count for name, (total, count) in sums.items() if count} | {"acts": float(self.acts)}


@torch.no_grad()
def evaluate(model: Any, rows: Sequence[Row], pad: int, *, batch: int = 8, part: int = 0, parts: int = 1) -> Fit:
    """Return how well a model fits rows, or every `parts`-th of them from `part` on.

    Cross-entropy is of the data's tokens whatever the model was trained with, so that recipes can be compared. An act
    counts as exact where greedy decoding would write all its tokens: until its first mistake it has the same prefix.

    Args:
        model: one that the span loss is attached to, wrapped or not.
        rows: what is tried.
        pad: the token that rows are padded with.
        batch: how many rows at a time.
        part: which part of the rows, where several processes share them.
        parts: how many parts; all make the same number of passes, since a pass gathers what is sharded.
    """
    was_training = model.training
    model.eval()
    fit = Fit()
    # Long rows beside long ones: less is padded.
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    mine = order[part::parts]
    device = next(model.parameters()).device
    for at in range(0, len(order[::parts]), batch):
        numbers = mine[at : at + batch]
        found = model(fit=collate(rows, numbers or order[:1], pad).to(device))
        if numbers:
            fit.add(found)
    model.train(was_training)
    return fit
