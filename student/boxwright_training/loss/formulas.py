"""The loss formulas on one chunk of logits, each with its own gradient, in float32 (or float64 for float64 logits).

Each takes logits [c, V] that it may overwrite, and weights [c] that its gradient is multiplied by. Each returns the
losses [c], unweighted, and d(sum of weights * losses) / d(logits) [c, V] in `dtype`, or None where `dtype` is None.
They are plain functions of tensors, so `compiled` can hand them to torch.compile, which fuses each to a few passes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["bucketed_kl", "compiled", "cross_entropy", "forward_kl"]

# In place of -inf, whose product with a probability of 0 is NaN and not 0.
LEAST_LOG_PROBABILITY = -1e4


def _own(logits: Tensor) -> Tensor:
    """Return logits that may be overwritten. The compiler would write them back; a copy it leaves out."""
    return logits.clone() if torch.compiler.is_compiling() else logits


def _normalise(logits: Tensor) -> Tensor:
    """Turn logits into log-probabilities in place, and return the log of their sum [c, 1]."""
    total = torch.logsumexp(logits, dim=-1, keepdim=True)
    logits.sub_(total).clamp_(min=LEAST_LOG_PROBABILITY)
    return total


def cross_entropy(
    logits: Tensor, targets: Tensor, weights: Tensor, dtype: torch.dtype | None
) -> tuple[Tensor, Tensor | None]:
    """Return -log q(target); `targets` is [c] long."""
    logits, index = _own(logits), targets.unsqueeze(-1)
    total = torch.logsumexp(logits, dim=-1, keepdim=True)
    losses = (total - logits.gather(-1, index)).squeeze(-1)
    if dtype is None:
        return losses, None
    weights = weights.unsqueeze(-1)
    grad = logits.sub_(total).exp_().mul_(weights)
    return losses, grad.scatter_add_(-1, index, -weights).to(dtype)


def forward_kl(
    logits: Tensor, teacher_logits: Tensor, weights: Tensor, temperature: float, dtype: torch.dtype | None
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return T^2 * KL(p || q) with p and q the softmax of teacher_logits / T and logits / T, and the faulty rows [c].

    T^2 keeps the gradient's size the same for every T (Hinton et al. 2015, section 2.1). A row is faulty where the
    teacher's logits hold NaN or +inf. A logit of -inf is a probability of 0.
    """
    logits, teacher_logits = _own(logits), _own(teacher_logits)
    if temperature != 1.0:
        logits, teacher_logits = logits.div_(temperature), teacher_logits.div_(temperature)
    _normalise(logits)
    faulty = ~_normalise(teacher_logits).squeeze(-1).isfinite()
    p = teacher_logits.exp()
    losses = teacher_logits.sub_(logits).mul_(p).sum(-1).mul_(temperature**2)
    if dtype is None:
        return losses, None, faulty
    grad = logits.exp_().sub_(p).mul_((weights * temperature).unsqueeze(-1))
    return losses, grad.to(dtype), faulty


def bucketed_kl(
    logits: Tensor, ids: Tensor, log_p: Tensor, weights: Tensor, dtype: torch.dtype | None
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return KL(p || q) over k + 1 outcomes: the k tokens of `ids` and "the rest", and the faulty rows [c].

    `ids` and `log_p` are [c, k]; an entry of -inf is padding. The rest has p_rest = 1 - sum(p) and q_rest = 1 - sum(q):
    the teacher's tail counts with its mass, and how that is spread over its tokens is left to the student. By the data
    processing inequality this is a lower bound of the KL over the vocabulary, equal to it for k = V. A row is faulty
    where it holds NaN, sums to more than 1.001, is all padding, or names a token twice.
    """
    logits, real = _own(logits), log_p != -torch.inf
    p = torch.where(real, log_p.exp(), 0.0)
    mass = p.sum(-1)
    faulty = ~((mass > 0) & (mass <= 1.001)) | _names_a_token_twice(ids, real)
    # Padding repeats a real id of its row, with a probability of 0, which has no effect on anything below.
    ids = torch.where(real, ids, ids.gather(-1, real.to(torch.uint8).argmax(-1, keepdim=True)))
    total = torch.logsumexp(logits, dim=-1, keepdim=True)
    log_q = logits.gather(-1, ids) - total
    losses = (p * torch.where(p > 0, log_p - log_q, 0.0)).sum(-1)
    rest = logits.scatter(-1, ids, -torch.inf)
    rest_total = torch.logsumexp(rest, dim=-1, keepdim=True)
    p_rest = torch.where(rest_total.squeeze(-1) > -torch.inf, (1 - mass).clamp(min=0.0), 0.0)
    log_q_rest = (rest_total - total).squeeze(-1)
    losses = losses + torch.where(p_rest > 0, p_rest * (p_rest.log() - log_q_rest), 0.0)
    if dtype is None:
        return losses, None, faulty
    # d/dz = q * (sum of p) - p on the k tokens, q * (sum of p) - p_rest * q / q_rest on the rest. The sum is 1 but for
    # the rounding of stored probabilities, and where k = V.
    spread = torch.where(p_rest.unsqueeze(-1) > 0, rest.sub_(rest_total).exp_(), 0.0).mul_(p_rest.unsqueeze(-1))
    grad = logits.sub_(total).exp_().mul_((mass + p_rest).unsqueeze(-1)).sub_(spread)
    return losses, grad.scatter_add_(-1, ids, -p).mul_(weights.unsqueeze(-1)).to(dtype), faulty


def _names_a_token_twice(ids: Tensor, real: Tensor) -> Tensor:
    """Return [c]: whether two real entries of a row are the same token."""
    column = torch.arange(ids.shape[-1], device=ids.device)
    ordered = torch.where(real, ids, -1 - column).sort(dim=-1).values
    return (ordered[:, 1:] == ordered[:, :-1]).any(-1)


@functools.cache
def compiled(formula: Callable[..., Any]) -> Callable[..., Any]:
    """Return the formula compiled by torch.compile, once per process."""
    fused: Callable[..., Any] = torch.compile(formula)
    return fused
