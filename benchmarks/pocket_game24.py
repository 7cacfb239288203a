"""The pocket student on Game of 24, in wordings that its generator does not have: the share of exact calls and answers.

    PYTHONPATH=student:boxes python benchmarks/pocket_game24.py --model FILE.gguf [--adapter FILE.gguf] [--each 60]

It is asked as it is shipped: llama.cpp with calls held to the schemas, the agent's own system message, the tools' names
and schemas as the server shows them. A call is exact with the tool `solve`, the numbers in the order asked, and the
target 24 or none. An exact call is answered by the box's own function, and what is then said is scored by the suite.
Puzzles go round the wordings, so that each has its own; the last row is the suite's own prompt, which is close to a
wording of the generator. `bare` is the same student with no tools: what the box adds is the difference.
"""

from __future__ import annotations

import argparse
import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boxwright.tasks import Task, load_suite, score
from boxwright_training.pocket.llama import gguf_student, serve
from boxwright_training.pocket.paths import existing
from boxwright_training.pocket.talk import SYSTEM
from boxwright_training.pocket.turns import Ask, Said, Turn

LIBRARY = Path(__file__).parent.parent / "boxes" / "library"
SOLVE = "game_of_24__solve"
WORDINGS = (
    "Here are four cards: {a}, {b}, {c}, {d}. What formula turns them into 24?",
    "I need 24 from {a} {b} {c} {d}, every number once.",
    "My daughter drew {a}, {b}, {c} and {d} in the 24 game. What is the answer?",
    "Name a calculation that yields 24 and has the numbers {a}, {b}, {c}, {d} in it, one time each.",
    "With brackets and the four basic operations, turn {a}, {b}, {c} and {d} into 24.",
    "Please do a Game of 24 on [{a}, {b}, {c}, {d}].",
    "How would one arrive at 24 starting from {a}, {b}, {c} and {d}?",
    "{a} {b} {c} {d} -> 24?",
    "Puzzle: the numbers {a}, {b}, {c}, {d} must give 24. Show me how.",
    "I have been dealt a {a}, a {b}, a {c} and a {d}; which sum of them, using all, is worth 24?",
)


def tools_of(*boxes: str) -> list[dict[str, Any]]:
    """Return the tools of boxes of the library as a client is shown them."""
    found = []
    for box in boxes:
        (path,) = (LIBRARY / box).glob("*/tools.json")
        for tool in json.loads(path.read_text(encoding="utf-8"))["tools"]:
            function = {"description": tool["description"], "parameters": tool["input_schema"]}
            found.append({"type": "function", "function": {"name": f"{box}__{tool['name']}", **function}})
    return found


def asked(each: int) -> Iterator[tuple[int, Task, str]]:
    """Give for each wording so many puzzles, no puzzle twice; the suite's own prompt comes as the last wording."""
    tasks = load_suite("game24").tasks
    for wording in range(len(WORDINGS) + 1):
        for task in tasks[wording :: len(WORDINGS) + 1][:each]:
            numbers = dict(zip("abcd", task.numbers, strict=True))
            yield wording, task, (*WORDINGS, task.prompt)[wording].format(**numbers)


def attempt(ask: Ask, tools: list[dict[str, Any]], task: Task, prompt: str, solve: Any) -> tuple[bool, bool, Said]:
    """Ask, run the call if it is exact, ask again; give whether call and answer were right, and the first words."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]
    (first,) = ask([Turn(tools, messages, {}, "", False)])
    if not tools:
        return False, score(task, first.text).right, first
    exact = len(first.calls) == 1 and first.calls[0] in [
        (SOLVE, {"numbers": list(task.numbers), **target}) for target in ({}, {"target": 24})
    ]
    if not exact:
        return False, False, first
    name, arguments = first.calls[0]
    call = {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}
    messages += [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": solve(**arguments)},
    ]
    (last,) = ask([Turn(tools, messages, {}, "", False)])
    return True, score(task, last.text).right, first


def main() -> None:
    """Ask all wordings with each set of tools, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=existing, required=True, help="a GGUF file")
    parser.add_argument("--adapter", type=existing, help="the adapter's GGUF file, for the fine-tuned student")
    parser.add_argument("--each", type=int, default=60, help="puzzles for a wording; 123 are all that there are")
    parser.add_argument("--bias", type=float, default=0.0, help="of `<tool_call>`, in logits")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mount", nargs="+", choices=("bare", "box", "library"), default=["bare", "box", "library"])
    args = parser.parse_args()
    ask = gguf_student(serve(args.model, args.threads, args.adapter), args.bias)
    (source,) = (LIBRARY / "game_of_24").glob("*/tools.py")
    solve = runpy.run_path(str(source))["solve"]
    mounted = {
        "bare": [],
        "box": tools_of("game_of_24"),
        "library": tools_of("calculator", "dates", "game_of_24", "python"),
    }
    for name in args.mount:
        counts = [[0, 0, 0] for _ in range(len(WORDINGS) + 1)]
        others: dict[str, int] = {}
        for wording, task, prompt in asked(args.each):
            exact, right, first = attempt(ask, mounted[name], task, prompt, solve)
            counts[wording] = [a + b for a, b in zip(counts[wording], (exact, right, 1), strict=True)]
            if mounted[name] and not exact:
                kind = first.calls[0][0] if first.calls else first.text[:40]
                others[kind] = others.get(kind, 0) + 1
        _show(name, len(mounted[name]), counts, others)


def _show(name: str, tools: int, counts: list[list[int]], others: dict[str, int]) -> None:
    own = [sum(column) for column in zip(*counts[:-1], strict=True)]
    print(f"{name} ({tools} tools): exact calls, right answers, of")
    for wording, row in zip((*WORDINGS, "(the suite's own prompt)"), counts, strict=True):
        print(f"  {row[0]:4} {row[1]:4} {row[2]:4}  {wording}")
    print(
        f"  {own[0] / own[2]:.1%} exact calls and {own[1] / own[2]:.1%} right answers over the {len(WORDINGS)} wordings"
    )
    if others:
        print(
            "  else:", ", ".join(f"{kind} {count}" for kind, count in sorted(others.items(), key=lambda x: -x[1])[:6])
        )


if __name__ == "__main__":
    main()
