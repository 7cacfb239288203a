"""The span loss: KL to the teacher on `reason`, cross-entropy on `act`, nothing elsewhere, each by its own count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from boxwright_training.kinds import Kind
from boxwright_training.loss import formulas
from boxwright_training.loss.head import Formula, Head, Piece, head_loss
from boxwright_training.loss.supervision import Supervised, Supervision
from boxwright_training.loss.teacher import LocalTeacher, StoredTopK, TeacherInvalid

__all__ = ["SpanLoss", "SpanLosses"]

KINDS = (Kind.REASON, Kind.ACT)


@dataclass(frozen=True)
class SpanLosses:
    """The loss of a batch.

    Attributes:
        total: scalar, alpha * reason term + beta * act term; the one to take backward.
        reason: scalar without gradient, the reason term before alpha and curriculum weights, for the logs.
        act: the same of the act term.
    """

    total: Tensor
    reason: Tensor
    act: Tensor


class SpanLoss(nn.Module):
    """alpha * T^2 * KL(teacher || student) on `reason` + beta * cross-entropy (or KL) on `act`.

    Structured Agent Distillation (arXiv 2505.13820) has KL on both kinds (`act="kl"`); ours has cross-entropy on `act`,
    where one token is right. Without a teacher both are cross-entropy. The KL is forward and teacher-forced.

    Args:
        temperature: T of both softmaxes in the KL; T^2 keeps gradients the same size for every T. Stored top-k
            log-probabilities are of temperature 1 and allow no other.
        act: the loss on `act`.
        chunk: how many positions have their logits in memory at once, [chunk, V] of the student and of the teacher.
        compile: fuse the formulas with torch.compile: faster and smaller on a GPU, after seconds of compiling.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        act: Literal["cross-entropy", "kl"] = "cross-entropy",
        chunk: int = 256,
        compile: bool = False,
    ) -> None:
        super().__init__()
        if not 0 < temperature < float("inf"):
            raise ValueError(f"temperature must be above 0 and finite, got {temperature!r}")
        if act not in ("cross-entropy", "kl"):
            raise ValueError(f"act must be 'cross-entropy' or 'kl', got {act!r}")
        if chunk < 1:
            raise ValueError(f"chunk must be at least 1 position, got {chunk!r}")
        self.temperature, self.act, self.chunk, self.compile_formulas = temperature, act, chunk, compile

    def forward(
        self,
        hidden: Tensor,
        head: Head,
        supervision: Supervision,
        teacher: LocalTeacher | StoredTopK | None = None,
        *,
        weights: tuple[float | Tensor, float | Tensor] = (1.0, 1.0),
        counts: Mapping[Kind, int | Tensor] | None = None,
        sequence_weights: Tensor | None = None,
        kinds: tuple[Kind, ...] = KINDS,
    ) -> SpanLosses:
        """Compute the loss of a batch.

        Args:
            hidden: [batch, length, H] the student's last hidden states, before its head.
            head: the student's head.
            supervision: which positions are supervised.
            teacher: what the teacher says; None is cross-entropy everywhere.
            weights: alpha and beta. Tensors with gradients (`LearnedWeights`) get them.
            counts: the number of supervised tokens of each kind that the term is divided by: over the whole batch, all
                its accumulation steps and all devices. Then the losses of its parts *add up* to the batch's (so where
                gradients are averaged over devices, as DDP does, multiply by their number). None counts this call's.
            sequence_weights: [batch] curriculum weights. They scale a sequence's losses and not the counts.
            kinds: the terms to compute; for the gradient of each alone.

        Raises:
            TeacherInvalid: the teacher has another vocabulary, or holds NaN or +inf at a supervised position, or its
                top-k is no distribution there.
            ValueError: hidden does not fit the supervision, or the temperature does not fit the teacher.
        """
        self._check(hidden, head, supervision, teacher)
        parts = [supervision.kind(kind) for kind in kinds]
        scales = [
            self._position_weights(part, weights[KINDS.index(kind)], kind, counts, sequence_weights, hidden.device)
            for kind, part in zip(kinds, parts, strict=True)
        ]
        pieces = [
            Piece(self._formula(kind, part, supervision.length, teacher), len(part))
            for kind, part in zip(kinds, parts, strict=True)
        ]
        positions = torch.cat([part.positions for part in parts])
        total, losses, faulty = head_loss(
            hidden.flatten(0, 1).index_select(0, positions), torch.cat(scales), head, pieces, self.chunk
        )
        if teacher is not None:
            _refuse_faulty(faulty, positions, supervision.length)
        means = dict.fromkeys(KINDS, losses.new_zeros(()))
        for kind, part, some in zip(kinds, parts, losses.split([len(part) for part in parts]), strict=True):
            means[kind] = some.sum() / _count(part, kind, counts)
        return SpanLosses(total, means[Kind.REASON], means[Kind.ACT])

    def _check(
        self, hidden: Tensor, head: Head, supervision: Supervision, teacher: LocalTeacher | StoredTopK | None
    ) -> None:
        if hidden.dim() != 3 or hidden.shape[1] != supervision.length:
            raise ValueError(f"hidden must be [batch, {supervision.length}, H], got {tuple(hidden.shape)}")
        if isinstance(teacher, StoredTopK) and self.temperature != 1.0:
            raise ValueError(
                f"temperature must be 1 with stored top-k log-probabilities, got {self.temperature!r}: another one "
                "needs the teacher's whole tail, which was not stored"
            )
        if isinstance(teacher, LocalTeacher):
            if teacher.head.vocabulary != head.vocabulary:
                raise TeacherInvalid(
                    f"the teacher has {teacher.head.vocabulary} tokens and the student {head.vocabulary}: their KL has "
                    "no meaning; take a teacher with the student's tokenizer, or train without a teacher"
                )
            if teacher.hidden.shape[:2] != hidden.shape[:2]:
                raise ValueError(
                    f"the teacher's hidden states must be {tuple(hidden.shape[:2])} positions like the student's, "
                    f"got {tuple(teacher.hidden.shape[:2])}"
                )

    def _position_weights(
        self,
        part: Supervised,
        weight: float | Tensor,
        kind: Kind,
        counts: Mapping[Kind, int | Tensor] | None,
        sequence_weights: Tensor | None,
        device: torch.device,
    ) -> Tensor:
        ones = torch.ones(len(part), device=device)
        if sequence_weights is not None:
            ones = sequence_weights.to(device, torch.float32)[part.rows]
        return ones * weight / _count(part, kind, counts)

    def _formula(self, kind: Kind, part: Supervised, length: int, teacher: LocalTeacher | StoredTopK | None) -> Formula:
        choose: Callable[..., Any] = formulas.compiled if self.compile_formulas else lambda formula: formula
        if teacher is None or (kind == Kind.ACT and self.act == "cross-entropy"):
            return partial(_cross_entropy, choose(formulas.cross_entropy), part.targets)
        if isinstance(teacher, StoredTopK):
            return partial(_bucketed_kl, choose(formulas.bucketed_kl), *teacher.rows(part, length))
        states = teacher.hidden.detach().flatten(0, 1).index_select(0, part.positions)
        return partial(_forward_kl, choose(formulas.forward_kl), states, teacher.head, self.temperature)


def _count(part: Supervised, kind: Kind, counts: Mapping[Kind, int | Tensor] | None) -> int | Tensor:
    """Return what a kind is divided by; never 0, so that nothing supervised is a loss of 0."""
    count = len(part) if counts is None else counts[kind]
    return count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1)


def _cross_entropy(formula: Any, targets: Tensor, logits: Tensor, start: int, stop: int, *rest: Any) -> Any:
    return formula(logits, targets[start:stop], *rest)


def _bucketed_kl(formula: Any, ids: Tensor, log_p: Tensor, logits: Tensor, start: int, stop: int, *rest: Any) -> Any:
    return formula(logits, ids[start:stop], log_p[start:stop].to(logits.dtype), *rest)


def _forward_kl(
    formula: Any,
    states: Tensor,
    head: Head,
    temperature: float,
    logits: Tensor,
    start: int,
    stop: int,
    weights: Tensor,
    dtype: torch.dtype | None,
) -> Any:
    teacher_logits = head.logits(states[start:stop]).to(logits.dtype)
    return formula(logits, teacher_logits, weights, temperature, dtype)


def _refuse_faulty(faulty: Tensor, positions: Tensor, length: int) -> None:
    # One synchronisation for the whole batch, when all of its forward pass is in the GPU's queue already.
    if not bool(faulty.any()):
        return
    where = positions[faulty]
    row, column = divmod(int(where[0]), length)
    raise TeacherInvalid(
        f"the teacher's signal is no distribution at {len(where)} of {len(faulty)} supervised positions, first at "
        f"sequence {row} of the batch, token {column + 1}: its logits hold NaN or +inf, or its top-k is empty, repeats "
        "a token or sums to more than 1; leave the trajectory out, or run the teacher in bfloat16 or float32"
    )
