"""FireAct's rows, in Alpaca's form: the instruction is the question, the output a ReAct transcript.

Some outputs begin with the options of a question of choice: these belong to the question. What the search tool wrote
last, `Episode finished, reward = …`, is the score.

Source: FireAct (arXiv 2310.05915; its repository's data/finetune).
"""

from __future__ import annotations

from typing import Any

from boxwright.traces import Trajectory
from boxwright_training.importers.lines import transcript
from boxwright_training.importers.react import joined, text_trajectory
from boxwright_training.importers.row import Row


def fits(value: Any) -> bool:
    """Say whether this is a row of Alpaca's form."""
    return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in ("instruction", "output"))


def read(row: Row) -> Trajectory:
    """Return the trajectory of a row.

    Raises:
        Unreadable: The output is no transcript.
    """
    parts = transcript(row.value["output"])
    return text_trajectory(row, parts, joined(row.value["instruction"], row.value.get("input"), parts.before))
