"""Gradient projection, so that the reason and the act term do not undo each other."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["ProjectedGradients", "projected_backward"]


def projected_backward(reason: Tensor, act: Tensor, parameters: Iterable[nn.Parameter]) -> Tensor:
    """Add to the parameters' `.grad` the two terms' gradients, each without what opposes the other (PCGrad).

    For a batch that is taken at once; `ProjectedGradients` is for one in parts.

    Args:
        reason: scalar, the weighted reason term (`SpanLoss` with `kinds=(Kind.REASON,)`).
        act: scalar, the weighted act term.
        parameters: those trained; one that a term does not reach has a gradient of 0 there.

    Returns:
        The cosine of the angle between the two gradients, a scalar for the logs; 0 where one of them is 0.
    """
    gradients = ProjectedGradients(parameters)
    gradients.add(reason, act)
    return gradients.apply()


class ProjectedGradients:
    """The two terms' gradients of a step, summed over its parts and then projected.

    Where g_reason . g_act < 0, each loses its projection on the other as it was (Yu et al. 2020, algorithm 1; with two
    terms there is no order to draw). The product is over all parameters as one vector: the terms share all of them,
    while their hidden states are of different positions and never oppose each other. It costs a second backward pass
    and two further sets of gradients.

    Args:
        parameters: those trained; one that a term does not reach has a gradient of 0 there.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._trained = [parameter for parameter in parameters if parameter.requires_grad]
        self._sums: tuple[list[Tensor], list[Tensor]] | None = None

    def add(self, reason: Tensor, act: Tensor) -> None:
        """Add the gradients of a part; the graph that the two terms share is kept until both were taken."""
        new = _gradients(reason, self._trained, keep=True), _gradients(act, self._trained, keep=False)
        if self._sums is None:
            self._sums = new
            return
        for sums, gradients in zip(self._sums, new, strict=True):
            for total, gradient in zip(sums, gradients, strict=True):
                total.add_(gradient)

    def apply(self) -> Tensor:
        """Add what is left of the sums to the parameters' `.grad`, forget them, and return their cosine."""
        assert self._sums is not None
        (of_reason, of_act), self._sums = self._sums, None
        dot, size_reason, size_act = _dot(of_reason, of_act), _dot(of_reason, of_reason), _dot(of_act, of_act)
        opposed = dot.clamp(max=0.0)
        keep_reason = 1 - torch.where(size_reason > 0, opposed / size_reason, 0.0)
        keep_act = 1 - torch.where(size_act > 0, opposed / size_act, 0.0)
        for parameter, first, second in zip(self._trained, of_reason, of_act, strict=True):
            # (g1 - dot/|g2|^2 g2) + (g2 - dot/|g1|^2 g1), gathered by gradient
            both = (first * keep_reason + second * keep_act).to(parameter.dtype)
            parameter.grad = both if parameter.grad is None else parameter.grad + both
        size = (size_reason * size_act).sqrt()
        return torch.where(size > 0, dot / size, 0.0)


def _gradients(loss: Tensor, parameters: list[nn.Parameter], keep: bool) -> list[Tensor]:
    found = torch.autograd.grad(loss, parameters, retain_graph=keep, allow_unused=True)
    return [torch.zeros_like(of) if one is None else one for one, of in zip(found, parameters, strict=True)]


def _dot(left: list[Tensor], right: list[Tensor]) -> Tensor:
    return torch.stack([(one.float() * other.float()).sum() for one, other in zip(left, right, strict=True)]).sum()
