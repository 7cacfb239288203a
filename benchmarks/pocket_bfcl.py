"""The pocket student on BFCL's simple, multiple and irrelevance questions, judged by BFCL's own rules for Python.

    PYTHONPATH=student:boxes python benchmarks/pocket_bfcl.py FOLDER --model FILE.gguf [--bias B]

FOLDER holds the rows and `possible_answer/`. It is asked as it is shipped: llama.cpp with calls held to the schemas,
and no system message. A question is right by the rules of the board's ast_checker: one call, of the right function,
with all required arguments and none unknown, each of the declared type (an integer may stand for a float) and among the
possible answers; texts without regard to case, spaces and `,./-_*^`; an argument may be missing where "" is among its
answers. An irrelevance question is right with no call, whatever is said. The student was neither trained nor tuned on
any of these.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from boxwright_training.pocket.llama import gguf_student, serve
from boxwright_training.pocket.paths import existing
from boxwright_training.pocket.turns import Said, Turn

TYPES = {"dict": "object", "float": "number", "tuple": "array"}
SUITES = ("simple_python", "multiple", "irrelevance")
_PYTHON: dict[str, type | tuple[type, ...]] = {
    "integer": int,
    "float": (float, int),
    "string": str,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "any": object,
}


def schema_of(told: Any) -> Any:
    """Return a BFCL schema as JSON Schema: its types have Python's names."""
    if isinstance(told, list):
        return [schema_of(one) for one in told]
    if not isinstance(told, dict):
        return told
    changed = {key: schema_of(value) for key, value in told.items()}
    kind = changed.get("type")
    if isinstance(kind, str):
        changed["type"] = TYPES.get(kind, kind)
        if kind == "any":
            del changed["type"]
    return changed


def fault(said: Said, functions: list[dict[str, Any]], truth: dict[str, Any]) -> str:
    """Return what is wrong with a call, "" where nothing is."""
    if not said.calls:
        return "no call"
    if len(said.calls) > 1:
        return "several calls"
    name, arguments = said.calls[0]
    ((right, allowed),) = truth.items()
    if name != right:
        return "another function"
    schema = next(one["parameters"] for one in functions if one["name"] == right)
    if any(needed not in arguments for needed in schema.get("required", ())):
        return "a required argument is missing"
    for key, value in arguments.items():
        if key not in allowed:
            return "an argument too many"
        if not _typed(value, schema["properties"][key]["type"]):
            return "a value of another type"
        if not _among(value, allowed[key]):
            return "another value"
    if any(key not in arguments and "" not in answers for key, answers in allowed.items()):
        return "an optional argument is missing"
    return ""


def _typed(value: Any, kind: str) -> bool:
    return isinstance(value, _PYTHON[kind]) and (kind in ("boolean", "any") or not isinstance(value, bool))


def _among(value: Any, answers: list[Any]) -> bool:
    return any(_same(value, answer) for answer in answers)


def _same(value: Any, answer: Any) -> bool:
    if isinstance(value, str) and isinstance(answer, str):
        return _standard(value) == _standard(answer)
    if isinstance(value, list) and isinstance(answer, list):
        return len(value) == len(answer) and all(map(_same, value, answer))
    if isinstance(value, dict) and isinstance(answer, dict):  # each key of an answer lists what may stand there
        missing = all(key in value or "" in options for key, options in answer.items())
        return missing and all(key in answer and _among(part, answer[key]) for key, part in value.items())
    return bool(value == answer)


def _standard(text: str) -> str:
    return re.sub(r"[ ,./\-_*^]", "", text).lower().replace("'", '"')


def main() -> None:
    """Ask every question of the suites, and print how many were right and what failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=existing)
    parser.add_argument("--model", type=existing, required=True, help="a GGUF file")
    parser.add_argument("--bias", type=float, default=0.0, help="of `<tool_call>`, in logits")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="a file for what was said, a JSON line each")
    args = parser.parse_args()
    ask = gguf_student(serve(args.model, args.threads), args.bias)
    lines = []
    for suite in SUITES:
        counts: Counter[str] = Counter()
        truths = _rows(args.folder / "possible_answer" / f"BFCL_v4_{suite}.jsonl")
        answers = {row["id"]: row["ground_truth"][0] for row in truths}
        rows = _rows(args.folder / f"BFCL_v4_{suite}.jsonl")
        for row in rows:
            tools = [{"type": "function", "function": schema_of(one)} for one in row["function"]]
            (said,) = ask([Turn(tools, row["question"][0], {}, "", False)])
            failed = fault(said, row["function"], answers[row["id"]]) if answers else "a call" if said.calls else ""
            counts[failed] += 1
            lines.append(json.dumps({"id": row["id"], "fault": failed, "said": [said.calls, said.text]}) + "\n")
        told = ", ".join(f"{kind} {count}" for kind, count in counts.most_common() if kind)
        print(f"{suite}: {counts[''] / len(rows):.1%} right ({counts['']} of {len(rows)}); wrong: {told}", flush=True)
    if args.out:
        args.out.write_text("".join(lines), encoding="utf-8")


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
