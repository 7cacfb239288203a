"""Tells how a run goes: a line at each log, with the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import transformers

__all__ = ["Progress"]

SHOWN = ("loss", "reason", "act", "alpha", "beta", "cosine", "grad_norm", "learning_rate")


class Progress(transformers.TrainerCallback):
    """Tells each line of the log, and how long the rest will take.

    Args:
        tell: takes a line.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._since = (time.monotonic(), 0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """See `TrainerCallback`."""
        self._since = (time.monotonic(), state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """See `TrainerCallback`."""
        if not logs or "loss" not in logs:
            return
        started, first = self._since
        pace = (time.monotonic() - started) / max(1, state.global_step - first)
        left = pace * (state.max_steps - state.global_step)
        shown = "  ".join(f"{key} {logs[key]:.4g}" for key in SHOWN if key in logs)
        self._tell(
            f"step {state.global_step} of {state.max_steps}  {shown}  {pace:.2f} s a step, {left / 60:.0f} min left"
        )
