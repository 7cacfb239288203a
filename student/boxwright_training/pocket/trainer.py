"""Trains the pocket student by the clock: steps, schedule, checkpoints and log, on one GPU or on a CPU."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from boxwright_training.pocket.feed import Batch, Feed
from boxwright_training.pocket.model import Pocket, logits
from boxwright_training.pocket.muon import Muon
from boxwright_training.pocket.weights import export


@dataclass(frozen=True)
class Run:
    """How to train."""

    out: Path
    tokenizer: Path
    minutes: float
    """In all, what was trained before a resume included."""
    slots: int
    """Tokens of one pass, filling included."""
    passes: int
    """Passes whose gradients make one step."""
    lr: float
    told: float
    """Weight of the loss on a token that the student reads; one that it speaks has 1."""
    warmup: float = 0.02
    decay: float = 0.25
    ramp: float = 0.3
    """Shares of the time: learning rate up, learning rate down at the end, level from 0 to 1."""
    checkpoint_seconds: float = 150.0
    log_seconds: float = 10.0

    def rate(self, progress: float) -> float:
        """Give the share of the learning rate at a share of the time: up, level, and down to 0."""
        return max(0.0, min(1.0, progress / self.warmup + 0.01, (1 - progress) / self.decay))


@dataclass
class State:
    """Where a run stands; all of it is in a checkpoint."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    """Real ones, given again or not."""
    last: int = -1
    """The highest index of an episode seen."""


@dataclass
class Tally:
    """Sums since the last line of the log."""

    since: float
    sums: list[Tensor] = field(default_factory=list)
    """Each `[5]`: spoken loss, spoken tokens, spoken tokens right, told loss, told tokens."""
    tokens: int = 0
    slots: int = 0
    waited: float = 0.0


class Trainer:
    """One model, its optimizer and its state."""

    def __init__(self, model: Pocket, run: Run, *, compiled: bool) -> None:
        self.model, self.run, self.state = model, run, State()
        self.device = model.embed.device
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        self.optimizer = Muon(model, lr=run.lr)
        self._losses = losses
        if compiled:
            model.compile_parts()
            self._losses = torch.compile(losses, dynamic=False)
        self._stop = False

    def train(self, feed: Feed) -> None:
        """Train until the time is over or a signal to end comes; a checkpoint and an export are written either way."""
        before, started = self.state.seconds, time.monotonic()
        saved, tally = started, Tally(started)
        previous = signal.signal(signal.SIGTERM, self._on_signal)
        try:
            while (progress := self.state.seconds / (60 * self.run.minutes)) < 1 and not self._stop:
                feed.level(min(1.0, progress / self.run.ramp))
                asked = time.monotonic()
                taken = [feed.take() for _ in range(self.run.passes)]
                tally.waited += time.monotonic() - asked
                norm = self.step(taken, self.run.rate(progress), tally)
                now = time.monotonic()
                self.state.seconds = before + now - started
                if now - tally.since > self.run.log_seconds:
                    self._log(tally, feed, norm, now)
                    tally = Tally(now)
                if now - saved > self.run.checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()
        finally:
            signal.signal(signal.SIGTERM, previous)
            self.save()

    def _on_signal(self, *_: object) -> None:
        self._stop = True

    def step(self, taken: list[Batch], rate: float, tally: Tally) -> float:
        """Take one step over the batches at a share of the learning rate; give the gradient's norm before clipping.

        A step whose gradient is not finite is left out.
        """
        weight = sum(float((b.parts[:, 1:] == 2).sum() + self.run.told * (b.parts[:, 1:] == 1).sum()) for b in taken)
        for batch in taken:
            ids, targets, parts = self._place(batch)
            rows, length = batch.ids.shape
            stream = self.model(ids, rows, length, self.dtype)
            model = self.model
            loss, sums = self._losses(stream, model.norm, model.embed, targets, parts, self.run.told, model.shape.eps)
            (loss / weight).backward()
            tally.sums.append(sums)
            tally.tokens += (real := int((batch.parts > 0).sum()))
            tally.slots += len(ids)
            self.state.tokens += real
            self.state.last = max(self.state.last, batch.last)
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0))
        if np.isfinite(norm):
            self.optimizer.step(rate)
        else:
            self.model.zero_grad(set_to_none=True)
        self.state.step += 1
        return norm

    def _place(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Give ids, next ids and their parts, each `[slots]`, on the device; only the count of rows varies."""
        filling = self.run.slots - batch.ids.size
        ids = np.pad(batch.ids.astype(np.int64).ravel(), (0, filling))
        parts = np.zeros_like(batch.parts)
        parts[:, :-1] = batch.parts[:, 1:]
        flat = torch.from_numpy(np.pad(parts.ravel(), (0, filling)))
        held = torch.from_numpy(ids).to(self.device)
        return held, held.roll(-1), flat.to(self.device)

    def _log(self, tally: Tally, feed: Feed, norm: float, now: float) -> None:
        spoken, count, right, told, told_count = torch.stack(tally.sums).sum(0).tolist()
        seconds = now - tally.since
        size = sum(p.numel() for p in self.model.parameters())
        progress = self.state.seconds / (60 * self.run.minutes)
        line = {
            "step": self.state.step,
            "minutes": round(self.state.seconds / 60, 2),
            "rate": round(self.run.rate(progress), 4),
            "spoken_loss": round(spoken / max(count, 1), 4),
            "spoken_right": round(right / max(count, 1), 4),
            "told_loss": round(told / max(told_count, 1), 4),
            "norm": round(norm, 3),
            "tokens_per_s": round(tally.tokens / seconds),
            "slots_per_s": round(tally.slots / seconds),
            "tflops": round(6 * size * tally.slots / seconds / 1e12, 1),
            "waited": round(tally.waited / seconds, 3),
            "fresh": feed.fresh,
            "again": feed.again,
            "million_tokens": round(self.state.tokens / 1e6, 1),
        }
        if self.device.type == "cuda":
            line["gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 1)
        with (self.run.out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)  # noqa: T201

    def save(self) -> None:
        """Write checkpoint.pt and model/ in the run's folder; each is whole or the one before."""
        kept = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "state": asdict(self.state)}
        part = self.run.out / "checkpoint.part"
        torch.save(kept, part)
        part.replace(self.run.out / "checkpoint.pt")
        export(self.model, self.run.out / "model", self.run.tokenizer)

    def resume(self) -> None:
        """Go on from checkpoint.pt in the run's folder."""
        kept: dict[str, Any] = torch.load(self.run.out / "checkpoint.pt", map_location=self.device, weights_only=True)
        self.model.load_state_dict(kept["model"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.state = State(**kept["state"])


def losses(
    stream: Tensor, norm: Tensor, embed: Tensor, targets: Tensor, parts: Tensor, told: float, eps: float
) -> tuple[Tensor, Tensor]:
    """Give the weighted loss, summed, and the sums that `Tally` keeps.

    Args:
        stream: `[tokens, width]`.
        norm: `[width]`.
        embed: `[vocab, width]`.
        targets: `[tokens]`, the next ids.
        parts: `[tokens]`, what the next id is: 0 filling, 1 told, 2 spoken.
        told: Weight of a told token; a spoken one has 1.
        eps: Of the norm.
    """
    scores = logits(stream, norm, embed, eps).float()
    each = F.cross_entropy(scores, targets, reduction="none")
    spoken, read = (parts == 2).float(), (parts == 1).float()
    right = (scores.argmax(-1) == targets).float() * spoken
    said, heard = (each * spoken).sum(), (each * read).sum()
    sums = torch.stack((said, spoken.sum(), right.sum(), heard, read.sum())).detach()
    return said + told * heard, sums
