"""Rows as batches: padded ids, where they are supervised, and what a teacher said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from boxwright_training.kinds import Kind
from boxwright_training.loss import StoredTopK, Supervision
from boxwright_training.spans import Row
from boxwright_training.teacher_cache import TeacherCache

__all__ = ["Batch", "Collator", "Drawn", "collate"]


@dataclass(frozen=True)
class Batch:
    """Some rows, of `length` tokens with what pads them at the right.

    Attributes:
        input_ids: [batch, length] long.
        supervision: where they are supervised.
        rows: [batch] long, the numbers of the rows.
        top_k: what a teacher said, where that was cached.
    """

    input_ids: Tensor
    supervision: Supervision
    rows: Tensor
    top_k: StoredTopK | None = None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Return the same batch on another device."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=non_blocking)

        top_k = StoredTopK(move(self.top_k.ids), move(self.top_k.log_p)) if self.top_k else None
        return Batch(move(self.input_ids), self.supervision.to(device), move(self.rows), top_k)

    @property
    def counts(self) -> Tensor:
        """[2] long: supervised tokens of reason and act."""
        return torch.tensor([len(self.supervision.reason), len(self.supervision.act)])


class Drawn(Dataset[int]):
    """The numbers of the rows in the order in which they are drawn."""

    def __init__(self, order: Sequence[int]) -> None:
        self.order = list(order)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> int:
        return self.order[index]


def collate(rows: Sequence[Row], numbers: Sequence[int], pad: int, cache: TeacherCache | None = None) -> Batch:
    """Return the rows of these numbers as a batch, padded to the longest."""
    chosen = [rows[number] for number in numbers]
    length = max(map(len, chosen))
    ids = torch.full((len(chosen), length), pad, dtype=torch.long)
    kinds = torch.full((len(chosen), length), int(Kind.PROMPT), dtype=torch.long)
    for place, row in enumerate(chosen):
        ids[place, : len(row)] = torch.from_numpy(row.ids.astype("int64"))
        kinds[place, : len(row)] = torch.from_numpy(row.kinds.astype("int64"))
    top_k = cache.batch(numbers, length) if cache else None
    return Batch(ids, Supervision.of(ids, kinds), torch.tensor(list(numbers)), top_k)


@dataclass(frozen=True)
class Collator:
    """Makes a batch of the numbers that a data loader gives it; it is picklable."""

    rows: Sequence[Row]
    pad: int
    cache: TeacherCache | None

    def __call__(self, numbers: Sequence[int]) -> dict[str, Batch]:
        return {"batch": collate(self.rows, numbers, self.pad, self.cache)}
