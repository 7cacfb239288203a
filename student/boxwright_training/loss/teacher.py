"""What a teacher says about a position: a local teacher's logits, or stored top-k log-probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from boxwright_training.loss.head import Head
from boxwright_training.loss.supervision import Supervised, Supervision

__all__ = ["LocalTeacher", "StoredTopK", "TeacherInvalid", "top_k"]


class TeacherInvalid(ValueError):
    """The teacher's signal cannot be learned from; the message names the first place."""


@dataclass(frozen=True)
class LocalTeacher:
    """A teacher that runs here: its head sees supervised positions only, in chunks, as the student's does.

    Attributes:
        hidden: [batch, length, H] the last hidden states of the teacher on the student's own `input_ids`, made
            without gradients. H may differ from the student's.
        head: its head.
    """

    hidden: Tensor
    head: Head


@dataclass(frozen=True)
class StoredTopK:
    """The teacher's most probable tokens, stored with the trajectory, as an API gives them beside each token.

    They are probabilities at temperature 1: another one would need the teacher's whole tail.

    Attributes:
        ids: [batch, length, k] long. Entry [b, t] is about the token at t, from which the shift follows.
        log_p: [batch, length, k] natural logarithms, -inf where there are fewer than k.
    """

    ids: Tensor
    log_p: Tensor

    def rows(self, at: Supervised, length: int) -> tuple[Tensor, Tensor]:
        """Return `ids` and `log_p` [n, k] of the targets of supervised positions.

        Raises:
            TeacherInvalid: the shapes do not fit the batch.
        """
        if self.ids.dim() != 3 or self.ids.shape != self.log_p.shape or self.ids.shape[1] != length:
            raise TeacherInvalid(
                f"stored top-k ids and log-probabilities must both be [batch, {length}, k], got "
                f"{tuple(self.ids.shape)} and {tuple(self.log_p.shape)}"
            )
        where = at.positions + 1
        return self.ids.flatten(0, 1)[where], self.log_p.flatten(0, 1)[where]


@torch.no_grad()
def top_k(teacher: LocalTeacher, supervision: Supervision, k: int, chunk: int = 256) -> StoredTopK:
    """Return a local teacher's top-k log-probabilities at the supervised targets, to be stored once and used often.

    `k` tokens need 6 k bytes a position as int32 ids and float16 log-probabilities; the vocabulary needs 2 V.
    Unsupervised places hold padding.
    """
    batch, length = teacher.hidden.shape[:2]
    states = teacher.hidden.flatten(0, 1)
    ids = torch.zeros(batch * length, k, dtype=torch.long, device=states.device)
    log_p = torch.full((batch * length, k), -torch.inf, device=states.device)
    positions = torch.cat([supervision.reason.positions, supervision.act.positions])
    for some in positions.split(chunk):
        best = torch.log_softmax(teacher.head.logits(states[some]), dim=-1).topk(k, dim=-1)
        ids[some + 1], log_p[some + 1] = best.indices, best.values.float()
    return StoredTopK(ids.view(batch, length, k), log_p.view(batch, length, k))
