"""Prints episodes to be read by people: `python -m boxwright_training.pocket.show --lexicon FILE --seed 0 --n 5`."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from boxwright_training.pocket.episodes import KIND_NAMES, Episode, Generator
from boxwright_training.pocket.lexicon import Lexicon


def shown(episode: Episode) -> str:
    """Return an episode as text: a line for each tool, a line for each message."""
    lines = [f"=== {episode.kind}, {len(episode.tools)} tools"]
    for tool in episode.tools:
        function = tool["function"]
        properties = json.dumps(function["parameters"]["properties"], ensure_ascii=False)
        lines.append(f"  * {function['name']} {properties} required {function['parameters'].get('required')}")
        lines += [f"      {line}" for line in function.get("description", "").splitlines()]
    for message in episode.messages:
        calls = [call["function"] for call in message.get("tool_calls", ())]
        said = [f"{call['name']} {json.dumps(call['arguments'], ensure_ascii=False)}" for call in calls]
        lines.append(f"  {message['role'].upper()}: {message['content']}{' | '.join(said)}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print episodes from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lexicon", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=5)
    parser.add_argument("--split", choices=("train", "test"), default="train")
    parser.add_argument("--level", type=float, default=1.0)
    parser.add_argument("--tools", type=int)
    parser.add_argument("--kind", choices=KIND_NAMES)
    options = parser.parse_args(arguments)
    generator = Generator(Lexicon.load(options.lexicon))
    for index in range(options.n):
        rng = random.Random(f"{options.seed}/{index}")
        made = generator.episode(rng, options.split, tools=options.tools, kind=options.kind, level=options.level)
        sys.stdout.write(shown(made) + "\n\n")


if __name__ == "__main__":
    main()
