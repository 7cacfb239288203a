"""The optimizer: Muon for the stacked matrices, AdamW for embedding and norms, one learning rate for both."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_STEPS = ((3.4445, -4.7750, 2.0315),) * 5


class Muon:
    """Momentum made orthogonal, as in Jordan's Muon; scaled to AdamW's step and decayed as in Moonlight (2502.16982).

    torch.optim.Muon takes matrices one by one; ours are stacked `[layers, out, in]`, and a stack is one product.
    """

    def __init__(self, model: nn.Module, *, lr: float, momentum: float = 0.95, decay: float = 0.1) -> None:
        parameters = list(model.parameters())
        self._stacks = [p for p in parameters if p.ndim == 3]
        self._momenta = [torch.zeros_like(p) for p in self._stacks]
        self._lr, self._momentum, self._decay = lr, momentum, decay
        rest = [p for p in parameters if p.ndim != 3]
        self._adam = torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0, fused=True)

    def step(self, scale: float) -> None:
        """Take a step with `scale` times the learning rate, and clear the gradients."""
        rate = scale * self._lr
        with torch.no_grad():
            for weight, momentum in zip(self._stacks, self._momenta, strict=True):
                assert weight.grad is not None
                momentum.lerp_(weight.grad, 1 - self._momentum)
                update = orthogonal(weight.grad.lerp(momentum, self._momentum))
                size = 0.2 * max(weight.shape[-2:]) ** 0.5
                weight.mul_(1 - rate * self._decay).add_(update, alpha=-rate * size)
                weight.grad = None
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """Give all that a later run needs to go on exactly."""
        return {"momenta": self._momenta, "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for mine, kept in zip(self._momenta, state["momenta"], strict=True):
            mine.copy_(kept)
        self._adam.load_state_dict(state["adam"])


def orthogonal(stack: Tensor) -> Tensor:
    """Bring all singular values of each matrix `[..., out, in]` near 1, by five Newton-Schulz steps in bfloat16."""
    x = stack.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for a, b, c in _STEPS:
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(stack.dtype)
