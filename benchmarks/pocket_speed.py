"""How fast the pocket student is on this processor: in llama.cpp, and beside it the same weights in transformers.

    PYTHONPATH=student:boxes python benchmarks/pocket_speed.py --gguf FILE... [--folder WEIGHTS] [--threads 1 2]

    prefill   tokens a second over a prompt of 600 tokens
    decode    tokens a second, 48 tokens behind it
    call      milliseconds from a question to its whole call, with four tools (calculator, dates), their prefix cached
    cold      the same, nothing cached
    memory    the peak of the resident set in a process of the variant's own, in MiB, with what its imports take in it

Each variant runs in its own process, `--rounds` times in turn with the others, so that a load from outside meets all of
them; shown are medians and, in brackets, the best, which is what the processor can do when nobody else wants it.
transformers runs in float32 and needs torch; without `--folder` its row is left out. llama.cpp's threads wait for each
other in a loop, which is what takes the time where other programs want the same cores; `passive` has them sleep
(OMP_WAIT_POLICY).
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boxwright_training.pocket.chat import render, text_of
from boxwright_training.pocket.paths import existing
from pocket_game24 import tools_of

PREFILL, DECODED = 600, 48
QUESTIONS = 5
"""Timed a round, after one that fills the cache."""
Figures = dict[str, list[float]]


def questions(count: int) -> list[list[dict[str, Any]]]:
    """Make conversations that differ in a date: the tools before them are the same."""
    return [
        [{"role": "user", "content": f"What weekday was 20{number + 10}-0{number % 9 + 1}-17?"}]
        for number in range(count + 1)
    ]


def prompt(seed: int) -> list[int]:
    """Make a prompt of ordinary tokens."""
    randomness = random.Random(seed)
    return [randomness.randrange(300, 4000) for _ in range(PREFILL)]


def llama(file: Path, threads: int) -> Figures:
    """Time llama.cpp; its own clock splits prefill from decoding."""
    from boxwright_training.pocket.llama import serve

    server, tools = serve(file, threads), tools_of("calculator", "dates")
    told = server.handle_completions(
        {"prompt": prompt(0), "n_predict": DECODED, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
    )["timings"]

    def ask(messages: list[dict[str, Any]], cached: bool) -> None:
        body = {"messages": messages, "tools": tools, "temperature": 0, "max_tokens": 256, "cache_prompt": cached}
        reply = server.handle_chat_completions(body | {"tool_choice": "required"})
        assert reply["choices"][0]["message"]["tool_calls"], reply

    return {
        "prefill": [told["prompt_per_second"]],
        "decode": [told["predicted_per_second"]],
        **_calls(lambda messages: ask(messages, True), lambda messages: ask(messages, False)),
    }


def transformers(folder: Path, threads: int) -> Figures:
    """Time transformers on the same weights; the prefix's keys and values are copied for each question."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM
    from transformers.cache_utils import DynamicCache

    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    cut, tools = Tokenizer.from_file(str(folder / "tokenizer.json")), tools_of("calculator", "dates")
    prefix = cut.encode(text_of(render([], tools))).ids
    ids = torch.tensor([prompt(0)])
    with torch.inference_mode():
        started = time.perf_counter()
        model(ids, logits_to_keep=1)
        read = time.perf_counter() - started
        model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=DECODED, min_new_tokens=DECODED, do_sample=False
        )
        wrote = time.perf_counter() - started - 2 * read
        kept = DynamicCache(config=model.config)
        model(torch.tensor([prefix]), past_key_values=kept, logits_to_keep=1)

    def ask(messages: list[dict[str, Any]], cached: bool) -> None:
        whole = torch.tensor([cut.encode(text_of(render(messages, tools, speak=True))).ids])
        more = {"past_key_values": copy.deepcopy(kept)} if cached else {}
        with torch.inference_mode():
            made = model.generate(
                whole, attention_mask=torch.ones_like(whole), max_new_tokens=256, do_sample=False, **more
            )
        assert "<tool_call>" in cut.decode(made[0, whole.shape[1] :].tolist(), skip_special_tokens=False)

    return {
        "prefill": [PREFILL / read],
        "decode": [DECODED / wrote],
        **_calls(lambda messages: ask(messages, True), lambda messages: ask(messages, False)),
    }


def _calls(cached: Callable[[Any], None], cold: Callable[[Any], None]) -> Figures:
    first, *others = questions(QUESTIONS)
    cold(first)
    cached(first)
    return {"call": [_ms(cached, one) for one in others], "cold": [_ms(cold, others[0])]}


def _ms(ask: Callable[[Any], None], messages: list[dict[str, Any]]) -> float:
    started = time.perf_counter()
    ask(messages)
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    """Measure every variant in its own process, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=existing, nargs="+", default=[])
    parser.add_argument("--folder", type=existing, help="the same weights for transformers")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        _one(Path(args.one), args.threads[0])
        return
    paths, waits = [*args.gguf, *([args.folder] if args.folder else ())], ("active", "passive")
    found: dict[tuple[Path, int, str], list[Figures]] = {
        (path, threads, wait): [] for path in paths for threads in args.threads for wait in waits[: min(threads, 2)]
    }
    for _ in range(args.rounds):
        for (path, threads, wait), rounds in found.items():
            command = [sys.executable, __file__, "--one", str(path), "--threads", str(threads)]
            environment = os.environ | ({"OMP_WAIT_POLICY": wait} if wait == "passive" else {})
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
            rounds.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{os.cpu_count()} cores, load before {os.getloadavg()[1]:.1f}; {args.rounds} rounds; medians (best)")
    print("| variant | threads | prefill tokens/s | decode tokens/s | call ms | cold ms | memory MiB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for (path, threads, wait), rounds in found.items():
        cells = " | ".join(_cell(name, [one for round_ in rounds for one in round_[name]]) for name in rounds[0])
        name = "transformers" if path.is_dir() else f"llama.cpp {path.stem}"
        print(f"| {name} | {threads} {wait if threads > 1 else ''} | {cells} |")


def _one(path: Path, threads: int) -> None:
    figures = transformers(path, threads) if path.is_dir() else llama(path, threads)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({**figures, "memory": [peak / 1024]}))


def _cell(name: str, values: list[float]) -> str:
    best = max(values) if name in ("prefill", "decode") else min(values)
    return f"{statistics.median(values):.0f} ({best:.0f})"


if __name__ == "__main__":
    main()
