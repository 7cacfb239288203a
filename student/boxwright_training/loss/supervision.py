"""Which positions of a batch are supervised: the one place where the next-token shift is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from boxwright_training.kinds import Kind

__all__ = ["Supervised", "Supervision"]


@dataclass(frozen=True)
class Supervised:
    """The supervised positions of one kind, n of them.

    Attributes:
        positions: [n] long, `row * length + column` of the position that *predicts* the target.
        targets: [n] long, the token to be predicted; it is the one whose span decided the kind.
        rows: [n] long, the sequence each belongs to.
    """

    positions: Tensor
    targets: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return int(self.positions.numel())

    def to(self, device: torch.device | str) -> Supervised:
        """Return the same positions on another device."""
        moved: Any = [tensor.to(device, non_blocking=True) for tensor in (self.positions, self.targets, self.rows)]
        return Supervised(*moved)


@dataclass(frozen=True)
class Supervision:
    """All supervised positions of a batch of sequences of `length` tokens.

    Built in the collator, on the CPU, it costs the training step no synchronisation with the GPU.
    """

    reason: Supervised
    act: Supervised
    length: int

    @classmethod
    def of(cls, input_ids: Tensor, kinds: Tensor) -> Supervision:
        """Find the supervised positions.

        Args:
            input_ids: [batch, length] token ids.
            kinds: [batch, length] `Kind` of each token. The first token of a sequence has no position that
                predicts it, and is never supervised.

        Raises:
            ValueError: the shapes differ, or are not [batch, length].
        """
        if input_ids.dim() != 2 or input_ids.shape != kinds.shape:
            raise ValueError(
                f"input_ids and kinds must both be [batch, length], got {tuple(input_ids.shape)} and "
                f"{tuple(kinds.shape)}; give one kind for each token"
            )
        length = input_ids.shape[1]
        found = []
        for kind in (Kind.REASON, Kind.ACT):
            rows, columns = (kinds[:, 1:] == int(kind)).nonzero(as_tuple=True)
            found.append(Supervised(rows * length + columns, input_ids[rows, columns + 1], rows))
        return cls(found[0], found[1], length)

    def kind(self, kind: Kind) -> Supervised:
        """Return the positions of a supervised kind."""
        return self.reason if kind == Kind.REASON else self.act

    def to(self, device: torch.device | str) -> Supervision:
        """Return the same supervision on another device."""
        return Supervision(self.reason.to(device), self.act.to(device), self.length)
