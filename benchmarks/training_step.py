"""One training step of the span loss: memory, speed and share of the hardware's peak, beside the plain formula and TRL.

Run it with `PYTHONPATH=student python benchmarks/training_step.py`; it needs torch and transformers, two rows trl.
Student and teacher are Qwen3 models of one shape with random weights; the batch is one sequence, 24% `reason`, 16%
`act`, 60% `observe`. Every variant gets the same models, tokens and attention mask, and does forward, backward and
zeroing of gradients (with `--optimizer` also a step of SGD).

    bodies alone       both models without heads and loss: what every other row has in it too
    plain              the formula of the span loss with all logits at once (KL on reason, cross-entropy on act)
    span               the span loss
    span, compiled     with its formulas compiled by torch.compile
    span, KL on both   the span loss with KL on act too, and each token weighing the same: what TRL's rows compute
    TRL GKD            GKDTrainer.compute_loss, off-policy, forward KL (beta = 0); in trl 1.16 it saves no memory
    TRL Distillation   DistillationTrainer._compute_loss: where trl 1.16 has its memory-saving, chunked loss

TRL's trainers are made without their constructors, so that only their loss is measured, not their training loop.
Memory is the peak above the weights of both models, gradients included: on a GPU by torch's allocator, on a CPU the
peak of the resident set in a process of the variant's own (VmHWM, reset before the step). FLOPs are those of the matrix
products, counted by torch's FlopCounterMode, recomputation included. Where others use
the machine too, the processor's own time ("CPU ms", of all threads) says more than the clock's.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import inspect
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from boxwright_training.kinds import Kind
from boxwright_training.loss import Head, LocalTeacher, SpanLoss, Supervision

VOCABULARY = 151_936
SHAPES = {
    "tiny": {
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "heads": 2,
    },
    # Qwen/Qwen3-0.6B's config.json
    "qwen3-0.6b": {
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "heads": 8,
    },
}
# Dense bfloat16 FLOP/s of the vendor's data sheet; the H200 has the H100's processor.
PEAKS = {"H100": 989e12, "H200": 989e12}
TURN = [Kind.REASON] * 24 + [Kind.ACT] * 16 + [Kind.OBSERVE] * 60


@dataclass(frozen=True)
class Setting:
    """What every variant is given."""

    student: Any
    teacher: Any
    ids: Tensor
    kinds: Tensor
    supervision: Supervision
    chunk: int

    @property
    def inputs(self) -> dict[str, Tensor]:
        """What a model's body is called with."""
        return {"input_ids": self.ids, "attention_mask": torch.ones_like(self.ids)}


def setting(shape: str, tokens: int, device: str, chunk: int) -> Setting:
    """Build both models and the batch: bfloat16 on a GPU, float32 on a CPU."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    sizes = dict(SHAPES[shape])
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        num_key_value_heads=sizes.pop("heads"),
        head_dim=128 if shape != "tiny" else 64,
        tie_word_embeddings=True,
        max_position_embeddings=40_960,
        use_cache=False,
        **sizes,
    )
    models = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with torch.device(device):
            model = Qwen3ForCausalLM(config)
        models.append(model.to(torch.bfloat16 if device == "cuda" else torch.float32))
    models[1].requires_grad_(False).eval()
    ids = torch.randint(VOCABULARY, (1, tokens), generator=torch.Generator().manual_seed(3))
    kinds = torch.tensor((TURN * (tokens // len(TURN) + 1))[:tokens]).unsqueeze(0)
    supervision = Supervision.of(ids, kinds).to(device)
    return Setting(models[0].train(), models[1], ids.to(device), kinds.to(device), supervision, chunk)


# -- the variants: each returns a function from nothing to the loss ----------------------------------------------------


def bodies(given: Setting) -> Callable[[], Tensor]:
    """Both models without their heads, and a loss that costs nothing."""

    def loss() -> Tensor:
        hidden = given.student.model(**given.inputs).last_hidden_state
        with torch.no_grad():
            given.teacher.model(**given.inputs)
        return hidden.float().mean()

    return loss


def plain(given: Setting) -> Callable[[], Tensor]:
    """The span loss's formula with all logits of both models at once."""

    def loss() -> Tensor:
        logits = given.student(**given.inputs).logits[:, :-1].float()
        with torch.no_grad():
            teacher_logits = given.teacher(**given.inputs).logits[:, :-1].float()
        log_q, log_p = torch.log_softmax(logits, -1), torch.log_softmax(teacher_logits, -1)
        kl = torch.nn.functional.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)
        ce = -log_q.gather(-1, given.ids[:, 1:].unsqueeze(-1)).squeeze(-1)
        reason, act = (given.kinds[:, 1:] == int(kind) for kind in (Kind.REASON, Kind.ACT))
        return (kl * reason).sum() / reason.sum() + (ce * act).sum() / act.sum()

    return loss


def span(given: Setting, weights: tuple[float, float] = (1.0, 1.0), **options: Any) -> Callable[[], Tensor]:
    """The span loss."""
    module = SpanLoss(chunk=given.chunk, **options)

    def loss() -> Tensor:
        hidden = given.student.model(**given.inputs).last_hidden_state
        with torch.no_grad():
            states = given.teacher.model(**given.inputs).last_hidden_state
        signal = LocalTeacher(states, Head.of(given.teacher))
        total: Tensor = module(hidden, Head.of(given.student), given.supervision, signal, weights=weights).total
        return total

    return loss


def _shares(supervision: Supervision) -> tuple[float, float]:
    both = len(supervision.reason) + len(supervision.act)
    return len(supervision.reason) / both, len(supervision.act) / both


def gkd(given: Setting) -> Callable[[], Tensor]:
    """TRL's GKDTrainer on all supervised tokens."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl.experimental.gkd import GKDTrainer

    trainer = GKDTrainer.__new__(GKDTrainer)
    trainer.teacher_model, trainer.beta, trainer.temperature = given.teacher, 0.0, 1.0
    labels = torch.where(_supervised(given), given.ids, -100)
    return lambda: trainer.compute_loss(given.student, {**given.inputs, "labels": labels})


def distillation(given: Setting) -> Callable[[], Tensor]:
    """TRL's DistillationTrainer on all supervised tokens; what is not supervised is masked as tool results are."""
    from accelerate import Accelerator
    from trl import DistillationTrainer
    from trl.trainer import distillation_trainer

    trainer = DistillationTrainer.__new__(DistillationTrainer)
    trainer.teacher_model, trainer.beta, trainer.temperature = given.teacher, 0.0, 1.0
    trainer.accelerator = Accelerator(cpu=given.ids.device.type == "cpu")
    trainer.model_kwarg_keys, trainer._is_vlm = inspect.signature(given.student.forward).parameters.keys(), False
    trainer._forward_redirection = distillation_trainer._ForwardRedirection()
    ones = torch.ones_like(given.ids)
    inputs = {
        "prompt_ids": given.ids[:, :1],
        "prompt_mask": ones[:, :1],
        "completion_ids": given.ids[:, 1:],
        "completion_mask": ones[:, 1:],
        "tool_mask": _supervised(given)[:, 1:].long(),
    }
    return lambda: trainer._compute_loss(given.student, inputs, None)[0]


def _supervised(given: Setting) -> Tensor:
    return (given.kinds == int(Kind.REASON)) | (given.kinds == int(Kind.ACT))


VARIANTS: dict[str, Callable[[Setting], Callable[[], Tensor]]] = {
    "bodies alone": bodies,
    "plain": plain,
    "span": span,
    "span, compiled": lambda given: span(given, compile=True),
    "span, KL on both": lambda given: span(given, _shares(given.supervision), act="kl"),
    "TRL GKD": gkd,
    "TRL Distillation": distillation,
}


# -- measuring ---------------------------------------------------------------------------------------------------------


def _addmm_flops(_: Any, left: tuple[int, int], right: tuple[int, int], *__: Any, **___: Any) -> int:
    # torch 2.13's own formula does not know addmm's out_dtype.
    return 2 * left[0] * left[1] * right[1]


def _attention_flops(query: tuple[int, ...], key: tuple[int, ...], *_: Any, **__: Any) -> int:
    # torch 2.11's own formula does not know heads that share keys.
    return 4 * math.prod(query) * key[-2]


def _attention_backward_flops(_: Any, query: tuple[int, ...], key: tuple[int, ...], *__: Any, **___: Any) -> int:
    return 10 * math.prod(query) * key[-2]


FORMULAS = {
    torch.ops.aten.addmm: _addmm_flops,
    torch.ops.aten._scaled_dot_product_flash_attention: _attention_flops,
    torch.ops.aten._scaled_dot_product_efficient_attention: _attention_flops,
    torch.ops.aten._scaled_dot_product_cudnn_attention: _attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_backward: _attention_backward_flops,
    torch.ops.aten._scaled_dot_product_efficient_attention_backward: _attention_backward_flops,
    torch.ops.aten._scaled_dot_product_cudnn_attention_backward: _attention_backward_flops,
}


def measure(name: str, given: Setting, repeats: int, optimizer: bool) -> dict[str, Any]:
    """Return the figures of one variant."""
    if name.startswith("TRL") and importlib.util.find_spec("trl") is None:
        return {"skipped": "trl is not installed here"}
    loss_of, parameters = VARIANTS[name](given), list(given.student.parameters())
    # A learning rate of 0, so that every variant sees the same weights.
    steps = torch.optim.SGD(parameters, lr=0.0)

    def step() -> float:
        steps.zero_grad(set_to_none=True)
        loss = loss_of()
        loss.backward()
        if optimizer:
            steps.step()
        return float(loss.detach())

    cuda = given.ids.is_cuda
    weights = 0 if cuda else _status("VmRSS")
    # The first step loads, compiles and allocates what later ones have. Compiled code cannot be counted.
    counted = name != "span, compiled"
    with FlopCounterMode(display=False, custom_mapping=FORMULAS) if counted else contextlib.nullcontext() as counter:
        loss = step()
    flops = counter.get_total_flops() if counter else None
    steps.zero_grad(set_to_none=True)
    memory = _peak_on_gpu(step) if cuda else _peak_on_cpu(step) - weights
    times, processor = [], time.process_time()
    for _ in range(repeats):
        started = time.perf_counter()
        step()
        if cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    seconds = statistics.median(times)
    return {
        "loss": loss,
        "memory_mb": memory / 2**20,
        "seconds": seconds,
        "seconds_range": [min(times), max(times)],
        "processor_seconds": (time.process_time() - processor) / repeats,
        "tokens_per_second": given.ids.numel() / seconds,
        "flops": flops,
    }


def _peak_on_gpu(step: Callable[[], Any]) -> int:
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    return int(torch.cuda.max_memory_allocated() - before)


def _peak_on_cpu(step: Callable[[], Any]) -> int:
    Path("/proc/self/clear_refs").write_text("5")
    step()
    return _status("VmHWM")


def _status(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def on_gpu(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Measure the variants one after the other in this process, with and without gradient checkpointing."""
    given = setting(arguments.shape, arguments.tokens, "cuda", arguments.chunk)
    rows = {}
    for checkpointing in (True, False):
        _checkpoint(given.student, checkpointing)
        for name in arguments.variants:
            row = f"{name}{'' if checkpointing else ', no checkpointing'}"
            rows[row] = _tried(name, given, arguments)
            # A command that is cut off has still told what it had.
            print(row, json.dumps(rows[row]), file=sys.stderr, flush=True)
            torch.cuda.empty_cache()
    return rows


def on_cpu(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Measure each variant in a process of its own."""
    rows = {}
    for name in arguments.variants:
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            command = [sys.executable, __file__, *sys.argv[1:], "--one", name, "--json", file.name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            text = Path(file.name).read_text()
        rows[name] = json.loads(text) if text else {"skipped": f"ended with {done.returncode}: {done.stderr[-300:]}"}
        print(name, json.dumps(rows[name]), file=sys.stderr, flush=True)
    return rows


def _tried(name: str, given: Setting, arguments: argparse.Namespace) -> dict[str, Any]:
    try:
        return measure(name, given, arguments.repeats, arguments.optimizer)
    except Exception as error:  # one variant's failure is its own row, and leaves the others theirs
        traceback.print_exc()
        return {"skipped": f"{type(error).__name__}: {str(error)[:300]}"}


def _checkpoint(model: Any, wanted: bool) -> None:
    if wanted:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    else:
        model.gradient_checkpointing_disable()


# -- the report --------------------------------------------------------------------------------------------------------


def report(rows: dict[str, dict[str, Any]], machine: dict[str, Any]) -> None:
    """Print the table."""
    print("  ".join(f"{key} {value}" for key, value in machine.items() if key != "peak"))
    print(f"{'':36} {'loss':>9} {'memory MB':>10} {'ms':>8} {'CPU ms':>8} {'tokens/s':>9} {'TFLOP':>7} {'of peak':>8}")
    for name, row in rows.items():
        if "skipped" in row:
            print(f"{name:36} skipped: {row['skipped']}")
            continue
        flops = row["flops"]
        share = f"{flops / row['seconds'] / machine['peak']:8.1%}" if flops and machine["peak"] else f"{'-':>8}"
        print(
            f"{name:36} {row['loss']:9.4f} {row['memory_mb']:10.0f} {row['seconds'] * 1e3:8.1f} "
            f"{row['processor_seconds'] * 1e3:8.1f} "
            f"{row['tokens_per_second']:9.0f} {flops / 1e12 if flops else float('nan'):7.2f} {share}"
        )


def fill_flops(rows: dict[str, dict[str, Any]]) -> None:
    """Give compiled rows the count of the uncompiled: only matrix products are counted, and those are the same."""
    for name, row in rows.items():
        if "flops" in row and row["flops"] is None:
            row["flops"] = rows.get(name.replace(", compiled", ""), {}).get("flops")


def machine(arguments: argparse.Namespace, device: str) -> dict[str, Any]:
    """Say what this was measured on and with."""
    versions = {}
    for name in ("torch", "transformers", "trl"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    chip = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    peak = next((peak for name, peak in PEAKS.items() if name in chip), None)
    return {"device": chip, "shape": arguments.shape, "tokens": arguments.tokens, "chunk": arguments.chunk} | {
        **versions,
        "peak": peak,
    }


def main() -> None:
    """Measure, print and write down."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--chunk", type=int, default=256 if device == "cuda" else 64, help="as training has it")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--optimizer", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    if arguments.one:
        given = setting(arguments.shape, arguments.tokens, "cpu", arguments.chunk)
        _checkpoint(given.student, True)
        arguments.json.write_text(json.dumps(_tried(arguments.one, given, arguments)))
        return
    rows = on_gpu(arguments) if device == "cuda" else on_cpu(arguments)
    fill_flops(rows)
    about = machine(arguments, device)
    report(rows, about)
    if arguments.json:
        arguments.json.write_text(json.dumps(SimpleNamespace(machine=about, rows=rows).__dict__, indent=1))


if __name__ == "__main__":
    main()
