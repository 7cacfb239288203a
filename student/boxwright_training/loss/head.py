"""The language-model head on supervised positions only, chunk by chunk: loss and gradients without the full logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["Head", "Piece", "head_loss"]

# What some model families do to their logits after the head; none of it is done here.
LOGIT_CHANGES = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier")


@dataclass(frozen=True)
class Head:
    """A language-model head: weight [V, H] and, in a few models, bias [V]."""

    weight: Tensor
    bias: Tensor | None = None

    @classmethod
    def of(cls, model: Any) -> Head:
        """Return the head of a transformers causal language model.

        Raises:
            ValueError: the model changes its logits after the head, or an adapter sits on its head.
        """
        layer = model.get_output_embeddings()
        if type(layer) is not torch.nn.Linear:
            raise ValueError(
                f"the head is a {type(layer).__name__!r}, not a plain Linear layer; the span loss reads its weight "
                "itself, so take 'lm_head' out of the adapter's target modules"
            )
        config = model.config.get_text_config()
        for name in LOGIT_CHANGES:
            if getattr(config, name, None) not in (None, 1, 1.0):
                raise ValueError(
                    f"the model has {name} = {getattr(config, name)!r}, a change of the logits after the head, which "
                    "the span loss does not make; use a model without it"
                )
        return cls(layer.weight, layer.bias)

    @property
    def vocabulary(self) -> int:
        """The number of tokens it tells apart."""
        return int(self.weight.shape[0])

    def first(self, vocabulary: int | None) -> Head:
        """Return the head of the first so many tokens, or itself: makers pad heads of one tokenizer differently."""
        if vocabulary is None or vocabulary >= self.vocabulary:
            return self
        return Head(self.weight[:vocabulary], None if self.bias is None else self.bias[:vocabulary])

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits [c, V] of hidden states [c, H], float32 (float64 for a float64 weight)."""
        logits = _product(hidden.to(self.weight.dtype), self.weight.t(), _wide(self.weight.dtype))
        return logits if self.bias is None else logits.add_(self.bias)


# (logits [c, V], start, stop, weights [c], dtype) -> losses [c], gradient [c, V] or None, faulty [c] or None
Formula = Callable[
    [Tensor, int, int, Tensor, "torch.dtype | None"],
    "tuple[Tensor, Tensor | None] | tuple[Tensor, Tensor | None, Tensor]",
]


@dataclass(frozen=True)
class Piece:
    """`count` positions in a row that share a formula; it is given the range within the piece."""

    formula: Formula
    count: int


def head_loss(
    hidden: Tensor, weights: Tensor, head: Head, pieces: Sequence[Piece], chunk: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return sum(weights * losses), the losses [n] and the faulty positions [n].

    The sum is differentiable in hidden [n, H], weights [n] and the head; the losses are for the logs. At most `chunk`
    rows of logits exist at a time. Gradients are computed in the forward pass, while the logits are there, in one pass
    over the chunks (as in Liger-Kernel's fused linear losses, Hsu et al. 2024); the head's is summed in float32.
    Matrix products run in autocast's type, else in the weight's; everything on logits in float32.
    """
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else head.weight.dtype
    with torch.autocast(kind, enabled=False):
        result: tuple[Tensor, Tensor, Tensor] = _HeadLoss.apply(
            hidden, weights, head.weight, head.bias, _Plan(tuple(pieces), chunk, dtype, torch.is_grad_enabled())
        )
    return result


@dataclass(frozen=True)
class _Plan:
    """What the computation is told besides tensors; `dtype` is that of its matrix products."""

    pieces: tuple[Piece, ...]
    chunk: int
    dtype: torch.dtype
    grad: bool


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weights: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        plan: _Plan,
    ) -> tuple[Tensor, Tensor, Tensor]:
        # Of a float32 weight under autocast this is the one copy in the lower type; its gradient stays float32.
        head = Head(weight.to(plan.dtype), bias)
        sums = _Sums(hidden, head, [plan.grad and wanted for wanted in ctx.needs_input_grad])
        losses = torch.zeros(hidden.shape[0], dtype=sums.wide, device=hidden.device)
        faulty = torch.zeros(hidden.shape[0], dtype=torch.bool, device=hidden.device)
        scale = weights.to(sums.wide)
        for piece, begin, start, stop in _chunks(plan.pieces, plan.chunk):
            where = slice(begin + start, begin + stop)
            dtype = plan.dtype if sums.wanted else None
            answer = piece.formula(head.logits(hidden[where]), start, stop, scale[where], dtype)
            losses[where] = answer[0]
            if len(answer) == 3:
                faulty[where] = answer[2]
            if answer[1] is not None:
                sums.add(where, answer[1])
        ctx.sums, ctx.of_weights, ctx.types = sums, losses, (hidden.dtype, weights.dtype, weight.dtype)
        ctx.mark_non_differentiable(losses, faulty)
        return (scale * losses).sum(), losses, faulty

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        if ctx.sums is None:
            raise RuntimeError("this loss was taken backward already, which used its gradients up; compute it again")
        sums, ctx.sums = ctx.sums, None
        hidden_type, weights_type, weight_type = ctx.types
        return (
            _scaled(sums.hidden, upstream, hidden_type),
            (ctx.of_weights * upstream).to(weights_type) if ctx.needs_input_grad[1] else None,
            _scaled(sums.weight, upstream, weight_type),
            _scaled(sums.bias, upstream, weight_type),
            None,
        )


class _Sums:
    """The gradients of the head's inputs, summed over the chunks."""

    def __init__(self, hidden: Tensor, head: Head, wanted: Sequence[bool]) -> None:
        for_hidden, _, for_weight, for_bias, _ = wanted
        self.wide = _wide(head.weight.dtype)
        self.inputs = hidden, head.weight
        self.wanted = for_hidden or for_weight or for_bias
        # Every row of it is written exactly once, so nothing is summed and its own type is wide enough.
        self.hidden = torch.empty_like(hidden) if for_hidden else None
        self.weight = torch.zeros_like(head.weight, dtype=self.wide) if for_weight else None
        self.bias = torch.zeros_like(head.bias, dtype=self.wide) if for_bias and head.bias is not None else None

    def add(self, where: slice, of_logits: Tensor) -> None:
        """Add what a chunk's gradient of the logits [c, V] says."""
        hidden, weight = self.inputs
        if self.hidden is not None:
            # Over a whole vocabulary, so not in a lower type even where the matrix library would split the sum.
            self.hidden[where] = _product(of_logits, weight, self.wide)
        if self.weight is not None:
            _add_product(self.weight, of_logits.t(), hidden[where].to(weight.dtype))
        if self.bias is not None:
            self.bias += of_logits.sum(0, dtype=self.wide)


def _chunks(pieces: Sequence[Piece], chunk: int) -> list[tuple[Piece, int, int, int]]:
    """Return (piece, where the piece begins, start, stop) of chunks that are as even as can be."""
    chunks, begin = [], 0
    for piece in pieces:
        parts = -(-piece.count // chunk)
        edges = [piece.count * part // parts for part in range(parts + 1)] if parts else [0]
        chunks += [(piece, begin, start, stop) for start, stop in pairwise(edges)]
        begin += piece.count
    return chunks


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _product(left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """Return left @ right in `dtype`, unrounded before where the device can do that."""
    if left.dtype == dtype:
        return left @ right
    if left.is_cuda:
        return torch.mm(left, right, out_dtype=dtype)
    return (left @ right).to(dtype)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Do total += left @ right, without rounding the product first where the device can do that."""
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    elif left.is_cuda:
        torch.addmm(total, left, right, out_dtype=total.dtype, out=total)
    else:
        total.add_(left @ right)


def _scaled(total: Tensor | None, upstream: Tensor, dtype: torch.dtype) -> Tensor | None:
    # In place: there is no second copy of the largest tensor here, and no second use of it.
    return None if total is None else total.mul_(upstream).to(dtype)
