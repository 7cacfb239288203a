"""Span-level against token-level distillation against plain cross-entropy, at the same compute, on small models.

`python benchmarks/distillation.py OUT` does all of it on a CPU: trajectories of the four oracles, a tokenizer made from
them, a teacher trained from nothing on them by cross-entropy, its top 32 log-probabilities cached once, and for each
of three seeds a smaller student from nothing by each recipe: the same trajectories in the same order, as many steps, as
many tokens. Then, on tasks in wordings that no training trajectory has: cross-entropy, exact acts given the right ones
before, and tasks solved by the student's own loop with the real tools. A second run goes on where the first stopped.

The tools are not shown in the prompts (the template leaves them out, for all alike): a model of this size learns
their names by heart, and a prompt without them is a fifth as long.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from boxwright.settings import Settings
from boxwright.tasks import Split, Task
from boxwright.traces import TraceStore
from boxwright_student.agent import Agent, Bounds
from boxwright_training.importers import read_trajectories
from boxwright_training.oracles import ORACLES, open_library, oracle_tasks, write_trajectories
from boxwright_training.own_loop import TransformersModel
from boxwright_training.recipes import load_recipe
from boxwright_training.training import Run, train

TEMPLATE = """{%- for message in messages %}
{%- if message.role == 'system' %}
{%- elif message.role == 'tool' %}<|im_start|>tool
{{ message.content }}<|im_end|>
{% elif message.role == 'assistant' %}<|im_start|>assistant
{{ message.content }}
{%- for call in message.tool_calls or [] %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>
{%- endfor %}<|im_end|>
{% else %}<|im_start|>user
{{ message.content }}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
TEACHER = {"layers": 4, "width": 256, "heads": 4}
STUDENT = {"layers": 2, "width": 128, "heads": 4}
PLAIN = {
    "adapter": "none",
    "mistakes": "masked",
    "filters.used_tool": "true",
    "curriculum.order": "shuffled",
    "optimisation.batch": "16",
    "optimisation.clip": "1.0",
}
ARMS = {
    "cross-entropy": ("kang", {}),
    "token-level KL": ("token-kl", {}),
    "span-level, beta 1": ("sad", {"loss.beta": "1.0"}),
    "span-level (sad)": ("sad", {}),
    "span-level, beta 1, KL on both": ("sad", {"loss.beta": "1.0", "loss.act": "kl"}),
    "span-level, beta 1, no teacher": ("sad", {"loss.beta": "1.0", "loss.teacher": "false"}),
}
SEEDS = (1, 2, 3)


def main() -> None:
    """Make what is not there yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=4000, help="trajectories of each oracle; half as many of game24")
    parser.add_argument("--teacher-steps", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--tasks", type=int, default=40, help="of each oracle, for the student's own loop")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--arms", nargs="+", default=list(ARMS)[:4], choices=ARMS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)
    arguments.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(trajectories(arguments.out, arguments.count))
    tokenizer_of(arguments.out)
    teacher = taught(arguments.out, "teacher", "kang", {}, 0, arguments.teacher_steps, TEACHER)
    found: dict[str, list[dict[str, Any]]] = {"teacher": [tried(arguments, teacher)]}
    for seed in arguments.seeds:
        for name in arguments.arms:
            recipe, changes = ARMS[name]
            folder = f"{name.replace(' ', '-').replace(',', '')}-{seed}"
            run = taught(arguments.out, folder, recipe, changes, seed, arguments.steps, STUDENT, teacher)
            found.setdefault(name, []).append(tried(arguments, run))
            report(found)
    (arguments.out / "figures.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


async def trajectories(out: Path, count: int) -> None:
    """Write the oracles' trajectories, those to learn from and those to be tried on."""
    for name in ORACLES:
        wanted_of: list[tuple[Split, int]] = [("build", count // 2 if name == "game24" else count), ("test", 150)]
        for split, wanted in wanted_of:
            path = out / split / f"{name}.jsonl"
            if not path.exists():
                fresh = path.with_suffix(".new")
                fresh.unlink(missing_ok=True)
                store = TraceStore(fresh)
                await write_trajectories(name, split=split, count=wanted, seed=0, store=store, settings=Settings())
                fresh.rename(path)


def tokenizer_of(out: Path) -> None:
    """Make a tokenizer of 1,024 tokens from the trajectories, digits alone."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if (out / "tokenizer" / "tokenizer.json").exists():
        return
    texts = [m.content for one in read_trajectories([out / "build"]).found for m in one.trajectory.messages[1:]]
    tokenizer = Tokenizer(models.BPE())
    cuts = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Sequence(cuts), decoders.ByteLevel()
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=[AddedToken(mark, special=True, normalized=False) for mark in marks],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens(
        [AddedToken(mark, special=False, normalized=False) for mark in ("<tool_call>", "</tool_call>")]
    )
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=marks[2], pad_token=marks[0])
    made.chat_template = TEMPLATE
    made.save_pretrained(out / "tokenizer")


def fresh(out: Path, name: str, shape: dict[str, int], seed: int) -> Path:
    """Write a model of random weights."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape["width"],
        intermediate_size=shape["width"] * 11 // 4,
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
    )
    folder = out / "fresh" / name
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def taught(
    out: Path,
    name: str,
    recipe: str,
    changes: dict[str, str],
    seed: int,
    steps: int,
    shape: dict[str, int],
    teacher: Path | None = None,
) -> Path:
    """Train, or go on, or return what is there."""
    folder = out / "runs" / name
    if (folder / "model" / "training.json").exists():
        return folder / "model"
    loaded = load_recipe(recipe, PLAIN | {"optimisation.learning_rate": "2e-3"} | changes)
    run = Run(
        data=(out / "build",),
        held_out_data=(out / "test",),
        model=str(fresh(out, name, shape, seed)),
        out=folder,
        recipe=loaded,
        teacher=str(teacher) if teacher and loaded.loss.teacher else None,
        cache=32,
        cache_folder=out / "teacher-cache",
        window=768,
        seed=seed,
        steps=steps,
        device_batch=4,
        checkpointing=False,
        save_every=300,
        log_every=50,
    )
    started = time.perf_counter()
    trained = train(run, resume=(folder / "run.json").exists(), tell=lambda line: None)
    seconds = time.perf_counter() - started
    print(f"{name}: {steps} steps in {seconds:.0f} s, {trained.after}", flush=True)
    (trained.model / "seconds.json").write_text(json.dumps(seconds))
    return trained.model


def tried(arguments: argparse.Namespace, model: Path) -> dict[str, Any]:
    """Return how a model fits what is held out, and which tasks its own loop solves."""
    kept = model / "tried.json"
    if not kept.exists():
        solved = asyncio.run(loop(model, arguments.tasks))
        kept.write_text(json.dumps(solved))
    fit = json.loads((model / "training.json").read_text())["after"]
    return {"fit": fit, "solved": json.loads(kept.read_text())}


async def loop(model: Path, count: int) -> dict[str, bool]:
    """Run the student's loop over test tasks of each oracle, with the library's tools in the sandbox."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    chat = TransformersModel(AutoModelForCausalLM.from_pretrained(model).eval(), tokenizer)
    solved = {}
    async with open_library(Settings()) as tools:
        for name in ORACLES:
            boxes = sorted({tool.split("__")[0] for tool in tools.names()} - {"python"})
            agent = Agent(chat, tools.toolset(tools.names(boxes)), bounds=Bounds(steps=7, max_tokens=160))
            for task in picked(name, count):
                done = await agent.attempt(task, name)
                solved[task.id] = bool(done.right)
    return solved


def picked(name: str, count: int) -> list[Task]:
    """Some of the test tasks, the same for every model."""
    tasks = oracle_tasks(name, split="test", count=150, seed=0)
    return random.Random(f"tasks/{name}").sample(tasks, count)


def report(found: dict[str, list[dict[str, Any]]]) -> None:
    """Print a row for each arm: means over seeds, and the spread."""
    print(f"\n{'':24} {'seeds':>5} {'reason':>16} {'act':>16} {'acts exact':>16} {'tasks solved':>18}")
    for name, runs in found.items():
        cells = [
            spread([run["fit"][key] for run in runs], 100 if key == "exact_act" else 1)
            for key in ("reason", "act", "exact_act")
        ]
        cells.append(spread([statistics.mean(run["solved"].values()) for run in runs], 100))
        print(f"{name:24} {len(runs):5} {cells[0]:>16} {cells[1]:>16} {cells[2]:>16} {cells[3]:>18}")
    for name, runs in found.items():
        if name not in ("teacher", "cross-entropy") and "cross-entropy" in found:
            print(f"{name} - cross-entropy, tasks solved: {paired(runs, found['cross-entropy'])}", flush=True)


def spread(values: list[float], scale: float) -> str:
    """The mean and the 95% interval of Student's t over seeds."""
    mean = scale * statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.2f}"
    quantile = {2: 12.71, 3: 4.303}.get(len(values), 2.78)
    return f"{mean:.2f} ± {scale * quantile * statistics.stdev(values) / math.sqrt(len(values)):.2f}"


def paired(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> str:
    """The difference over the same seeds and tasks, with a 95% interval by bootstrap over tasks."""
    pairs = list(zip(left, right, strict=False))
    tasks = list(pairs[0][0]["solved"])
    differences = np.array(
        [statistics.mean(int(a["solved"][t]) - int(b["solved"][t]) for a, b in pairs) for t in tasks]
    )
    draws = np.random.default_rng(0).integers(len(tasks), size=(10_000, len(tasks)))
    low, high = np.quantile(differences[draws].mean(1), [0.025, 0.975])
    return f"{100 * differences.mean():+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"


if __name__ == "__main__":
    main()
