"""Tells how a run goes, a line at each log, and stops one at the end of a step when it is told to."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
import transformers

__all__ = ["Progress", "stops"]

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
        """See `TrainerCallback`; a checkpoint brings back how often its run was saved and logged."""
        state.compute_steps(args, state.max_steps)
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


class _Stop(transformers.TrainerCallback):
    """Ends a run behind a step, on all processes behind the same one."""

    def __init__(self, trainer: transformers.Trainer) -> None:
        self.asked = False
        self._accelerator = trainer.accelerator

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """See `TrainerCallback`."""
        asked = self.asked
        if args.world_size > 1:  # a signal reaches each of them at another time
            flag = torch.tensor(int(asked), device=args.device)
            asked = bool(self._accelerator.reduce(flag, "sum").item())
        if asked:
            control.should_training_stop = control.should_save = True


@contextmanager
def stops(trainer: transformers.Trainer, tell: Callable[[str], None]) -> Iterator[None]:
    """On Ctrl-C and SIGTERM, let the trainer end its step, save and stop; a second one ends the process."""
    callback = _Stop(trainer)
    trainer.add_callback(callback)

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        callback.asked = True
        with suppress(RuntimeError):  # a line was just being told
            tell("stopping behind this step; --resume will go on")

    before = [(number, signal.signal(number, stop)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        trainer.remove_callback(callback)
