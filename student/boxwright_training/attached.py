"""Puts the span loss into a causal language model's own forward pass.

There it runs inside whatever the model is wrapped in (peft, DDP, FSDP), so that gradients are reduced and sharded
weights are gathered as for any other forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from boxwright.errors import BadInput
from boxwright_training.batches import Batch
from boxwright_training.kinds import Kind
from boxwright_training.loss import Head, LearnedWeights, LocalTeacher, SpanLoss, StoredTopK
from boxwright_training.loss.supervision import Supervised

__all__ = ["LEARNED", "FitOfBatch", "attach", "base_of", "hidden_states", "teacher_states"]

LEARNED = "span_weights"
"""The name under which learned weights are part of the model, where DDP finds them."""


def attach(model: nn.Module, loss: SpanLoss, learned: LearnedWeights | None = None) -> None:
    """Give a model's forward pass two arguments: with `span` it returns a batch's losses, with `fit` how well it fits.

    Args:
        model: a causal language model of transformers, or one of peft around it.
        loss: what is computed.
        learned: alpha and beta, where they are learned; they become parameters of the model that are never saved.

    Raises:
        BadInput: The model's head is none that the span loss can read.
    """
    base = base_of(model)
    try:
        Head.of(base)  # refused here, before any training
    except ValueError as error:
        raise BadInput(f"the model {base.name_or_path!r} cannot be trained on spans: {error}") from error
    plain = base.forward
    if learned is not None:
        setattr(base, LEARNED, learned)
        base._keys_to_ignore_on_save = {*(base._keys_to_ignore_on_save or ()), f"{LEARNED}.s"}

    def forward(
        self: Any, *arguments: Any, span: dict[str, Any] | None = None, fit: Batch | None = None, **options: Any
    ) -> Any:
        if span is not None:
            return _losses(self, loss, **span)
        return plain(*arguments, **options) if fit is None else _fit(self, fit, loss.chunk)

    base.forward = MethodType(forward, base)


def base_of(model: Any) -> Any:
    """Return the causal language model within one of peft's, or itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def hidden_states(base: Any, batch: Batch) -> Tensor:
    """Return the last hidden states [batch, length, H] of a causal language model, before its head.

    Rows are padded at the right, where no causal attention looks: without a mask, faster kernels can be used.
    """
    states: Tensor = base.get_decoder()(input_ids=batch.input_ids, use_cache=False).last_hidden_state
    return states


def _losses(
    base: Any,
    loss: SpanLoss,
    *,
    batch: Batch,
    teacher: LocalTeacher | StoredTopK | None,
    weights: tuple[float, float],
    counts: dict[Kind, Tensor],
    sequence_weights: Tensor | None,
    kinds: tuple[Kind, ...],
) -> dict[str, Tensor]:
    learned: LearnedWeights | None = getattr(base, LEARNED, None)
    found = loss(
        hidden_states(base, batch),
        Head.of(base),
        batch.supervision,
        teacher,
        weights=learned() if learned else weights,
        counts=counts,
        sequence_weights=sequence_weights,
        kinds=kinds,
    )
    losses = {"loss": found.total, "reason": found.reason, "act": found.act}
    if learned:
        losses["penalty"] = learned.penalty()
    return losses


@dataclass(frozen=True)
class FitOfBatch:
    """How well a batch is fitted.

    Attributes:
        reason: scalar, the summed cross-entropy of reasoning.
        act: scalar, that of acts.
        reason_tokens: how many tokens of reasoning there are.
        positions: [n], where the tokens of acts are predicted.
        right: [n], whether each is the likeliest.
    """

    reason: Tensor
    act: Tensor
    reason_tokens: int
    positions: Tensor
    right: Tensor


def _fit(base: Any, batch: Batch, chunk: int) -> FitOfBatch:
    hidden, head = hidden_states(base, batch).flatten(0, 1), Head.of(base)
    # In a lower type the two likeliest tokens are often equally likely, and which one is the first says nothing.
    with torch.autocast(hidden.device.type, enabled=False):
        reason, _ = _cross_entropy(hidden, head, batch.supervision.reason, chunk)
        act, right = _cross_entropy(hidden, head, batch.supervision.act, chunk)
    return FitOfBatch(reason, act, len(batch.supervision.reason), batch.supervision.act.positions, right)


def _cross_entropy(hidden: Tensor, head: Head, at: Supervised, chunk: int) -> tuple[Tensor, Tensor]:
    total, right = hidden.new_zeros((), dtype=torch.float32), []
    for positions, targets in zip(at.positions.split(chunk), at.targets.split(chunk), strict=True):
        logits = head.logits(hidden[positions]).float()
        total += torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
        right.append(logits.argmax(-1) == targets)
    return total, torch.cat(right)


@torch.no_grad()
def teacher_states(model: Any, batch: Batch, vocabulary: int) -> LocalTeacher:
    """Ask a local teacher of a batch; its head is cut to the student's tokens where its maker padded it further."""
    return LocalTeacher(hidden_states(model, batch), Head.of(model).first(vocabulary))
