"""KnowAgent's two files: ALFWorld runs, and HotpotQA runs whose prompt holds everything the model was shown.

Source: KnowAgent (arXiv 2403.03101; its repository's Self-Learning/trajs).
"""

from __future__ import annotations

from typing import Any

from boxwright.traces import Ended, Trajectory
from boxwright_training.importers.lines import transcript
from boxwright_training.importers.react import text_trajectory
from boxwright_training.importers.row import Row, Unreadable


def fits(value: Any) -> bool:
    """Say whether this is a row of either file."""
    return isinstance(value, dict) and ({"traj", "result"} <= value.keys() or {"prompt", "halted"} <= value.keys())


def read(row: Row) -> Trajectory:
    """Return the trajectory of a row; in HotpotQA's, what stands before the last question is examples.

    Raises:
        Unreadable: The row's question, or any step, is not in its text.
    """
    return _alfworld(row) if "traj" in row.value else _hotpotqa(row)


def _alfworld(row: Row) -> Trajectory:
    won = str(row.value["result"]).lower() in ("true", "1")
    lost: dict[str, Ended] = {} if won else {"ended": "steps"}
    parts = transcript(row.value["traj"])
    return text_trajectory(row, parts, parts.before, right=won, **lost)


def _hotpotqa(row: Row) -> Trajectory:
    text, question = row.value["prompt"], row.value["question"]
    start = text.rfind(f"Question: {question}")
    if start < 0:
        raise Unreadable(f"its prompt does not hold the question {question[:80]!r}")
    cut: dict[str, Ended] = {}
    if row.value.get("error"):
        cut = {"ended": "model-error"}
    elif row.value["halted"]:
        cut = {"ended": "steps"}
    parts = transcript(text[start:])
    shown: dict[str, Any] = {"examples": text[:start], "prompt": question}
    return text_trajectory(row, parts, parts.before, right=bool(row.value["correct"]), **shown, **cut)
