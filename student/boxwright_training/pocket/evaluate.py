"""`python -m boxwright_training.pocket.evaluate`: how often a pocket student says exactly what it should.

Every assistant message of an episode is asked for, given the right messages before it. Calls are compared by name and
arguments as JSON values, texts exactly; an abstention is right when no call is made and it begins as all of them do.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwright_training.pocket.paths import existing

ABSTAINS = "No tool here can"
"""How every abstention of the generator begins."""
MOST = 256
"""Tokens that an answer may take."""

Ask = Callable[[list["Turn"]], list["Said"]]


@dataclass(frozen=True)
class Said:
    """What a student said: its calls as (name, arguments), and its text."""

    calls: tuple[tuple[str, Any], ...]
    text: str


@dataclass(frozen=True)
class Turn:
    """One message that the student has to give."""

    tools: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    """All before it."""
    gold: dict[str, Any]
    kind: str
    """The episode's kind, and where a call came before it, `:after`, or `:answer` where a text is due."""
    abstains: bool


def turns(tools: list[dict[str, Any]], messages: list[dict[str, Any]], kind: str) -> list[Turn]:
    """Give a turn for each assistant message of an episode."""
    found = []
    for place, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        text = message.get("content") or ""
        later = any(m["role"] == "tool" for m in messages[:place])
        calls = bool(message.get("tool_calls"))
        where = (":after" if later else "") if calls else ":answer" if later else ""
        abstains = not calls and text.startswith(ABSTAINS)
        found.append(Turn(tools, messages[:place], message, kind + where, abstains))
    return found


def read(text: str) -> Said:
    """Read what a student wrote; a call that cannot be read stays text, and is wrong."""
    words, calls = [], []
    for number, part in enumerate(text.split("<tool_call>")):
        told, closed, rest = part.partition("</tool_call>") if number else ("", "", part)
        try:
            call = json.loads(told) if closed else None
            calls += [(call["name"], call["arguments"])] if call else []
        except (ValueError, KeyError, TypeError):
            rest = "<tool_call>" + part
        words.append(rest.strip() if closed or not number else "<tool_call>" + part)
    return Said(tuple(calls), "\n".join(word for word in words if word))


def right(said: Said, turn: Turn) -> bool:
    """Judge what was said against the gold message."""
    gold = [(call["function"]["name"], call["function"]["arguments"]) for call in turn.gold.get("tool_calls") or ()]
    if turn.abstains:
        return not said.calls and said.text.startswith(ABSTAINS)
    same_calls = sorted(map(_canonical, said.calls)) == sorted(map(_canonical, gold))
    return same_calls and said.text == (turn.gold.get("content") or "")


def _canonical(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Make equal JSON numbers equal texts: 5.0 is 5, and true stays apart from 1."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


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
        refused = not said.calls and said.text.startswith(ABSTAINS)
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


def gguf_student(file: Path) -> Ask:
    """Ask a GGUF file, through llama.cpp and its own chat template and parser."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(file)
    parameters.n_ctx, parameters.n_parallel, parameters.verbosity = 4096, 1, -1
    server = xllamacpp.Server(parameters)

    def ask(wanted: list[Turn]) -> list[Said]:
        return [_said(server.handle_chat_completions(_request(turn))) for turn in wanted]

    return ask


def _request(turn: Turn) -> dict[str, Any]:
    messages = json.loads(json.dumps(turn.messages))
    for call in (call for message in messages for call in message.get("tool_calls") or ()):
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)
    return {"messages": messages, "tools": turn.tools, "temperature": 0, "max_tokens": MOST}


def _said(reply: dict[str, Any]) -> Said:
    if "choices" not in reply:
        return Said((), json.dumps(reply))
    message = reply["choices"][0]["message"]
    calls = []
    for call in message.get("tool_calls") or ():
        try:
            calls.append((call["function"]["name"], json.loads(call["function"]["arguments"])))
        except ValueError:
            calls.append((call["function"]["name"], call["function"]["arguments"]))
    return Said(tuple(calls), (message.get("content") or "").strip())


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
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    args = parser.parse_args(arguments)
    ask = torch_student(args.model, args.device) if args.model.is_dir() else gguf_student(args.model)
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
