"""Learned alpha and beta."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["LearnedWeights"]


class LearnedWeights(nn.Module):
    """alpha and beta as parameters, kept between two bounds.

    Each weight w = least * (most / least)^sigmoid(s) has a gradient everywhere and cannot leave its bounds. Alone, the
    loss would send both to `least`; the penalty -log(w) makes w = 1 / (its term) the best value, as in the uncertainty
    weighting of Kendall et al. (2018), whose w is exp(-s) without bounds. Use: `loss(..., weights=learned())`, and add
    `learned.penalty()` to the total, once per step.

    Args:
        alpha: where alpha starts.
        beta: where beta starts.
        least: the lower bound.
        most: the upper bound.

    Raises:
        ValueError: the bounds are not 0 < least < start < most.
    """

    def __init__(self, alpha: float = 1.0, beta: float = 1.0, least: float = 0.1, most: float = 10.0) -> None:
        super().__init__()
        for name, start in (("alpha", alpha), ("beta", beta)):
            if not 0 < least < start < most < float("inf"):
                raise ValueError(f"{name} must lie between {least!r} and {most!r}, both above 0, got {start!r}")
        self.least, self.most = least, most
        shares = torch.tensor([math.log(start / least) / math.log(most / least) for start in (alpha, beta)])
        self.s = nn.Parameter(torch.logit(shares))

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return alpha and beta, two scalars with gradients."""
        both = self._both()
        return both[0], both[1]

    def penalty(self) -> Tensor:
        """Return -log(alpha) - log(beta), a scalar."""
        return -self._both().log().sum()

    def _both(self) -> Tensor:
        return self.least * (self.most / self.least) ** torch.sigmoid(self.s)
