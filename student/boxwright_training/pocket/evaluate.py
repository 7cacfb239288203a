"""`python -m boxwright_training.pocket.evaluate`: how often a pocket student says exactly what it should.

A folder of weights is asked through our own network, free of any grammar; a GGUF file as it is shipped, in llama.cpp,
with calls held to the schemas (`--free` lifts that) and `--bias` added to the logit of `<tool_call>`.
Every assistant message of an episode is asked for, given the right messages before it. Calls are compared by name and
arguments as JSON values, texts exactly; an abstention is right when no call is made and it begins as all of them do.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from boxwright_training.pocket.llama import free_student, gguf_student, serve
from boxwright_training.pocket.paths import existing
from boxwright_training.pocket.turns import MOST, Ask, Said, Turn, read, refuses, right, turns


def report(asked: Iterable[tuple[Turn, Said]]) -> dict[str, Any]:
    """Count what was right, by kind and in all, and how well abstaining was told from calling."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    abstained = wrongly = missed = 0
    for turn, said in asked:
        first_calls = turn.gold.get("tool_calls") and not any(m["role"] == "tool" for m in turn.messages)
        good = right(said, turn)
        for name in (
            "all",
            turn.kind,
            *(["calls"] if turn.gold.get("tool_calls") else []),
            *(["first calls"] if first_calls else []),
        ):
            counts[name][0] += good
            counts[name][1] += 1
        refused = refuses(said)
        abstained += refused and turn.abstains
        wrongly += refused and not turn.abstains
        missed += turn.abstains and not refused
    exact = {
        name: {"right": good, "of": of, "share": round(good / of, 4)} for name, (good, of) in sorted(counts.items())
    }
    return {
        "exact": exact,
        "abstain_precision": round(abstained / max(1, abstained + wrongly), 4),
        "abstain_recall": round(abstained / max(1, abstained + missed), 4),
    }


def torch_student(folder: Path, device: str) -> Ask:
    """Ask the weights in a folder, through our own network."""
    import torch

    from boxwright_training.pocket.chat import render, text_of
    from boxwright_training.pocket.decode import generate
    from boxwright_training.pocket.tokenizer import load_tokenizer
    from boxwright_training.pocket.weights import load

    model, tokenizer = load(folder).to(device), load_tokenizer(folder / "tokenizer.json")
    dtype = torch.bfloat16 if device == "cuda" else torch.float32

    def ask(wanted: list[Turn]) -> list[Said]:
        texts = [text_of(render(turn.messages, turn.tools, speak=True)) for turn in wanted]
        prompts = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
        fits = [i for i, prompt in enumerate(prompts) if len(prompt) + MOST <= model.shape.context]
        answers = dict(zip(fits, generate(model, [prompts[i] for i in fits], MOST, dtype), strict=True))
        return [read(tokenizer.decode(answers.get(i, []), skip_special_tokens=False)) for i in range(len(wanted))]

    return ask


def cell(lexicon: Path, tools: int, episodes: int, seed: int) -> list[Turn]:
    """Make the turns of episodes of the test split with so many tools."""
    from boxwright_training.pocket.episodes import Generator
    from boxwright_training.pocket.lexicon import Lexicon

    generator = Generator(Lexicon.load(lexicon))
    made = (generator.episode(random.Random(f"eval/{seed}/{tools}/{i}"), "test", tools=tools) for i in range(episodes))
    return [turn for episode in made for turn in turns(episode.tools, episode.messages, episode.kind)]


def main(arguments: list[str] | None = None) -> None:
    """Evaluate as the command line says; writes eval.json and failures.jsonl into the folder asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=existing, required=True, help="a folder of weights, or a GGUF file")
    parser.add_argument("--lexicon", type=existing, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tools", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="where a folder of weights runs")
    parser.add_argument("--threads", type=int, default=2, help="of llama.cpp; one where the cores are shared")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--bias", type=float, default=0.0, help="of `<tool_call>`, in logits; a GGUF file only")
    way.add_argument("--free", action="store_true", help="hold calls to no schema; a GGUF file only")
    args = parser.parse_args(arguments)
    ask = _student(args)
    args.out.mkdir(parents=True, exist_ok=True)
    reports = {}
    with (args.out / "failures.jsonl").open("w", encoding="utf-8") as failures:
        for tools in args.tools:
            wanted = cell(args.lexicon, tools, args.episodes, args.seed)
            started = time.monotonic()
            asked = list(zip(wanted, ask(wanted), strict=True))
            reports[str(tools)] = {**report(asked), "seconds": round(time.monotonic() - started, 1)}
            for turn, said in asked:
                if not right(said, turn):
                    failures.write(json.dumps(_failure(tools, turn, said), ensure_ascii=False) + "\n")
            print(_table(tools, reports[str(tools)]), flush=True)  # noqa: T201
    (args.out / "eval.json").write_text(json.dumps(reports, indent=1), encoding="utf-8")


def _student(args: argparse.Namespace) -> Ask:
    if args.model.is_dir():
        return torch_student(args.model, args.device)
    server = serve(args.model, args.threads)
    return free_student(server) if args.free else gguf_student(server, args.bias)


def _failure(tools: int, turn: Turn, said: Said) -> dict[str, Any]:
    asked = [message for message in turn.messages if message["role"] != "system"]
    names = [tool.get("function", tool) for tool in turn.tools]
    return {
        "tools": tools,
        "kind": turn.kind,
        "asked": asked,
        "gold": turn.gold,
        "said": [said.calls, said.text],
        "of": names,
    }


def _table(tools: int, counted: dict[str, Any]) -> str:
    rows = [
        f"{tools} tools, {counted['seconds']} s: abstains with precision {counted['abstain_precision']:.1%} "
        f"and recall {counted['abstain_recall']:.1%}"
    ]
    rows += [f"  {name:24} {row['share']:7.1%}  {row['right']}/{row['of']}" for name, row in counted["exact"].items()]
    return "\n".join(rows)


if __name__ == "__main__":
    main()
