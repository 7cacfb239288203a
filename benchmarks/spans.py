"""Segments real trajectories with real chat templates, and checks every span: `python benchmarks/spans.py DATA`.

DATA is the folder of public data sets (fireact, react_prompts, knowagent, swe_agent_trajs). With `--templates FOLDER`,
chat templates that a package ships are used too, such as those in trl/chat_templates; tokenizers are made on the spot,
byte-level BPEs that know each template's tokens. For each data set and template it prints how many trajectories were
segmented, what failed and why, the tokens of each kind, and how fast it went.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from boxwright_training.importers import read_trajectories
from boxwright_training.kinds import Kind
from boxwright_training.spans import Segmenter, SpansInvalid, chat_of
from support.span_checks import faults
from support.tiny_models import CHATML, LLAMA3, MISTRAL, TEXTS, TOKENS, tiny_tokenizer

SETS = ("fireact", "react_prompts", "knowagent", "swe_agent_trajs")
SHIPPED = {
    "qwen3": "<|im_end|>",
    "qwen2_5": "<|im_end|>",
    "llama3_1": "<|eot_id|>",
    "gemma3": "<eos>",
    "phi3": "<|end|>",
    "lfm2": "<|im_end|>",
    "gemma4": "<eos>",
}
"""Templates that trl ships, with the token that ends a turn or a text."""
PLAIN = {"<tool_call>", "</tool_call>", "<think>", "</think>", "<tool_response>", "</tool_response>"}


def shipped(folder: Path) -> dict[str, Any]:
    """Return a tokenizer for each known template in a folder."""
    found = {}
    for name, end in SHIPPED.items():
        path = folder / f"{name}.jinja"
        if not path.exists():
            continue
        text = path.read_text(encoding="utf-8")
        tokens = set(re.findall(r"<\|[^|<>\s]+\|>|<｜[^｜]+｜>|<(?:start|end)_of_turn>|<turn\|>|</?s>", text)) | {end}
        TOKENS[text] = (("<bos>", "<pad>", end, *sorted(tokens - {end})), tuple(sorted(PLAIN)))
        found[f"trl/{name}"] = tiny_tokenizer(text, TEXTS, 1000)
    return found


def main() -> None:
    """Segment, check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--templates", type=Path)
    arguments = parser.parse_args()
    made = {"chatml, as Qwen3's": CHATML, "as Llama 3.1's": LLAMA3, "as Mistral's": MISTRAL}
    tokenizers = {name: tiny_tokenizer(text, TEXTS, 1000) for name, text in made.items()}
    if arguments.templates:
        tokenizers |= shipped(arguments.templates)
    for name in SETS:
        imported = read_trajectories([arguments.data / name])
        print(
            f"\n{name}: {len(imported.found)} trajectories, {len(imported.faults)} rows were none {imported.faults[:3]}"
        )
        for template, tokenizer in tokenizers.items():
            print(f"  {template:22} {_segmented(Segmenter(tokenizer), imported.found)}")


def _segmented(segmenter: Segmenter, found: list[Any]) -> str:
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    seconds = 0.0
    for trajectory, _ in found:
        started = time.perf_counter()
        try:
            placed = segmenter.place(trajectory)
        except SpansInvalid as error:
            reasons[re.sub(r"'.*?'(?=[ ,)])", "…", str(error))[:90]] += 1
            continue
        finally:
            seconds += time.perf_counter() - started
        wrong = faults(placed, chat_of(trajectory), segmenter)
        reasons.update(f"WRONG: {one}" for one in wrong[:1])
        counts["right"] += not wrong
        counts["texts"] += len(placed)
        for one in placed:
            _, kinds, _, across = segmenter.tokens(one)
            counts["across"] += across
            counts.update(Kind(kind).name.lower() for kind in kinds.tolist())
    total = sum(counts[kind.name.lower()] for kind in Kind)
    shares = ", ".join(f"{kind.name.lower()} {counts[kind.name.lower()]}" for kind in Kind)
    told = f"{counts['right']} right in {counts['texts']} texts; {shares} of {total} tokens"
    told += f", {counts['across']} across two spans"
    return f"{told}; {1e3 * seconds / len(found):.1f} ms each" + (f"; not: {dict(reasons)}" if reasons else "")


if __name__ == "__main__":
    main()
