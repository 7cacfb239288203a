"""transformers' Trainer with the span loss: counts over accumulation and devices, terms logged, whole checkpoints."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from boxwright.errors import BadInput
from boxwright_training.attached import LEARNED, base_of, teacher_states
from boxwright_training.batches import Batch
from boxwright_training.kinds import Kind
from boxwright_training.loss import Head, LearnedWeights, ProjectedGradients, TeacherInvalid
from boxwright_training.order import weights as row_weights
from boxwright_training.recipes import Recipe
from boxwright_training.spans import Row

__all__ = ["SpanTrainer"]

KINDS = (Kind.REASON, Kind.ACT)
STAGING = ".saving"
"""Where a checkpoint is written before it gets its name: what has a name is whole."""


class SpanTrainer(transformers.Trainer):
    """Trains on spans; see `boxwright_training.training.train` for how one is made.

    Args:
        recipe: how to train.
        rows: what the data set's numbers stand for.
        complexities: [rows], for the curriculum's weights.
        teacher: a local teacher, where nothing was cached.
        options: what transformers' Trainer takes.
    """

    def __init__(
        self, *, recipe: Recipe, rows: Sequence[Row], complexities: Any, teacher: Any | None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.recipe, self.rows, self.complexities, self.teacher = recipe, rows, complexities, teacher
        self.loss_is_scaled_for_ga = True
        self._terms = torch.zeros(
            3, device=self.args.device
        )  # reason, act, cosine of their gradients; since the last log
        self._projected: ProjectedGradients | None = None
        self._logged_at: int | None = None  # the step of the last line, or at which training began

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Batch]], device: torch.device) -> Tensor | None:
        """Count the supervised tokens of each kind, [2], over a whole step: all its parts, on all devices."""
        if not batch_samples:
            return None
        counts = torch.stack([one["batch"].counts for one in batch_samples]).sum(0).to(device)
        if self.args.world_size > 1:
            counts = self.accelerator.gather(counts).reshape(-1, 2).sum(0)
        return counts

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the part that a batch has in its step's loss; the parts add up."""
        losses = self._losses(model, inputs["batch"], num_items_in_batch, KINDS)
        self._terms[:2] += torch.stack([losses["reason"], losses["act"]]).detach()
        loss = losses["loss"] * self._devices
        if "penalty" in losses:  # it is of a step, not of a token
            loss = loss + losses["penalty"] / self.current_gradient_accumulation_steps
        return (loss, losses) if return_outputs else loss

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Take a batch forward and backward, where the recipe says so with its terms' gradients projected."""
        if not self.recipe.loss.projection:
            return super().training_step(model, inputs, num_items_in_batch)
        model.train()
        batch = self._prepare_inputs(inputs)["batch"]
        reason = self._losses(model, batch, num_items_in_batch, (Kind.REASON,))
        act = self._losses(model, batch, num_items_in_batch, (Kind.ACT,))
        with torch.no_grad():
            self._terms[:2] += torch.stack([reason["reason"], act["act"]])
        if self._projected is None:
            self._projected = ProjectedGradients(model.parameters())
        self._projected.add(reason["loss"], act["loss"])
        if self.accelerator.sync_gradients:  # the last part of the step
            self._terms[2] += self._projected.apply()
        return (reason["loss"] + act["loss"]).detach()

    def _losses(self, model: Any, batch: Batch, counts: Any, kinds: tuple[Kind, ...]) -> dict[str, Tensor]:
        if self._logged_at is None:
            self._logged_at = self.state.global_step
        batch = batch.to(self.args.device)
        counts = batch.counts if counts is None else counts
        if self.recipe.loss.normalise == "token":
            counts = counts.sum().expand(2)
        teacher = batch.top_k
        if teacher is None and self.teacher is not None:
            with self.accelerator.autocast():
                teacher = teacher_states(
                    self.teacher, batch, Head.of(base_of(self.accelerator.unwrap_model(model))).vocabulary
                )
        span = {
            "batch": batch,
            "teacher": teacher,
            "weights": self._weights(),
            "counts": dict(zip(KINDS, counts.to(self.args.device), strict=True)),
            "sequence_weights": self._sequence_weights(batch),
            "kinds": kinds,
        }
        try:
            losses: dict[str, Tensor] = model(span=span)
        except TeacherInvalid as error:
            sources = ", ".join(dict.fromkeys(self.rows[number].source for number in batch.rows.tolist()))
            raise TeacherInvalid(f"{error} (the batch is {sources})") from error
        return losses

    @property
    def _devices(self) -> int:
        """What gradients are divided by when they are averaged over devices."""
        return int(self.accelerator.num_processes)

    @property
    def _progress(self) -> float:
        return float(self.state.global_step / max(1, self.state.max_steps))

    def _weights(self) -> tuple[float, float]:
        loss, share = self.recipe.loss, self._progress
        ends = (
            (loss.alpha if loss.alpha_end is None else loss.alpha_end),
            (loss.beta if loss.beta_end is None else loss.beta_end),
        )
        return loss.alpha + share * (ends[0] - loss.alpha), loss.beta + share * (ends[1] - loss.beta)

    def _sequence_weights(self, batch: Batch) -> Tensor | None:
        strength = self.recipe.curriculum.strength
        if not strength:
            return None
        found = row_weights(self.complexities, strength, self._progress)
        return torch.from_numpy(found[batch.rows.cpu().numpy()])

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log each term apart, as the mean over the steps since the last line.

        Raises:
            BadInput: The loss is no number any more.
        """
        steps = self.state.global_step - (self._logged_at or 0)
        if "loss" in logs and steps:
            terms = self._terms
            if self.args.world_size > 1:
                terms = self.accelerator.gather(terms.unsqueeze(0)).sum(0)
            reason, act, cosine = (terms / steps).tolist()
            alpha, beta = self._learned() or self._weights()
            logs |= {"reason": reason, "act": act, "alpha": alpha, "beta": beta}
            if self.recipe.loss.projection:
                logs["cosine"] = cosine
            self._terms.zero_()
            self._logged_at = self.state.global_step
            if not math.isfinite(logs["loss"]):
                raise BadInput(
                    f"the loss is {logs['loss']} at step {self.state.global_step}: training has diverged; lower the "
                    "learning rate (--set optimisation.learning_rate=...) and begin anew, in another --out"
                )
        super().log(logs, start_time)

    def _learned(self) -> tuple[float, float] | None:
        learned = self._learned_weights
        if learned is None:
            return None
        with torch.no_grad():
            alpha, beta = learned()
        return float(alpha), float(beta)

    @property
    def _learned_weights(self) -> LearnedWeights | None:
        return getattr(base_of(self.accelerator.unwrap_model(self.model)), LEARNED, None)

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clip what the model's weights are given; the gradient of alpha and beta would be most of the norm."""
        learned = self._learned_weights
        if learned is None:
            return super()._clip_grad_norm(model)
        held, learned.s.grad = learned.s.grad, None
        norm = super()._clip_grad_norm(model)
        learned.s.grad = held
        return norm

    # -- what a run leaves ------------------------------------------------------------------------------------------

    def create_optimizer(self, model: Any = None) -> Any:
        """Give learned weights a learning rate of their own."""
        optimizer = super().create_optimizer(model)
        learned = self._learned_weights
        if learned is not None:
            for group in optimizer.param_groups:
                group["params"] = [one for one in group["params"] if one is not learned.s]
            rate = self.recipe.optimisation.weights_rate
            optimizer.add_param_group({"params": [learned.s], "lr": rate, "weight_decay": 0.0})
        return optimizer

    def _get_output_dir(self, trial: Any) -> str:
        return str(Path(self.args.output_dir) / STAGING)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint beside and rename it; then remove those that are older than the last two.

        Raises:
            BadInput: It cannot be written; those before it are as they were.
        """
        staging = Path(self._get_output_dir(None))
        if self.is_world_process_zero():
            shutil.rmtree(staging, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        try:
            super()._save_checkpoint(model, trial)
        except Exception as error:  # safetensors, torch and the system each have their own
            free = shutil.disk_usage(self.args.output_dir).free >> 20
            shutil.rmtree(staging, ignore_errors=True)
            raise BadInput(
                f"the checkpoint of step {self.state.global_step} cannot be written to {self.args.output_dir!r} "
                f"({free} MiB free): {' '.join(str(error).split())[:200]}; what was saved before is whole: make "
                "room and add --resume"
            ) from error
        self.accelerator.wait_for_everyone()
        if self.is_world_process_zero():
            name = f"checkpoint-{self.state.global_step}"
            final = Path(self.args.output_dir) / name
            shutil.rmtree(final, ignore_errors=True)
            (staging / name).rename(final)
            with suppress(OSError):
                staging.rmdir()
            for old in checkpoints(Path(self.args.output_dir))[: -self.args.save_total_limit or None]:
                shutil.rmtree(old, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        learned = self._learned_weights
        if learned is not None and self.args.should_save:
            torch.save(learned.state_dict(), Path(output_dir or self.args.output_dir) / f"{LEARNED}.pt")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        held, learned = Path(resume_from_checkpoint) / f"{LEARNED}.pt", self._learned_weights
        if learned is not None and held.exists():
            learned.load_state_dict(torch.load(held, weights_only=True))


def checkpoints(out: Path) -> list[Path]:
    """Return the checkpoints in a run's folder, the oldest first; each is whole."""
    found = [path for path in out.glob("checkpoint-*") if path.name.split("-")[1].isdigit()]
    return sorted(found, key=lambda path: int(path.name.split("-")[1]))
