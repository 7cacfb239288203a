"""ReAct transcripts as text: rows with a question and a transcript, and files of transcripts by name.

How a trajectory whose acts are text is kept: the question is a user message, and so are the examples before it; each
step is an assistant message in the source's own words, each observation a user message.

A run that ends without an answer ended `empty` where the world takes no answer (ALFWorld: the last act is the end), and
at `steps` where `finish[…]` was to be said and was not.

Sources: ReAct (arXiv 2210.03629; its repository's prompts/alfworld.json).
"""

from __future__ import annotations

import re
from typing import Any

from boxwright.models import Message
from boxwright.traces import Ended, Trajectory
from boxwright_training.importers.lines import Transcript, has_steps, transcript
from boxwright_training.importers.row import Row, Unreadable, made

_QUESTIONS = ("question", "prompt", "input", "query", "problem", "task", "instruction")
_TEXTS = ("trajectory", "traj", "output", "completion", "response", "scratchpad", "text")
_LAST_QUESTION = re.compile(r"^(?:Question|QUESTION)(?: \d+)?:", re.MULTILINE)
_BEGUN = re.compile(r"(?:\A|\n)((?:Thought|Action)(?: \d+)?:[ ]?)\Z")


def fits(value: Any) -> bool:
    """Say whether this is a row that holds a transcript, or such transcripts by name."""
    if isinstance(value, str):
        return has_steps(value)
    return isinstance(value, dict) and has_steps(_field(value, _TEXTS))


def read(row: Row) -> Trajectory:
    """Return a trajectory of a transcript, alone or beside its question.

    Where the text itself holds several questions, all before the last are examples.

    Raises:
        Unreadable: There is no transcript.
    """
    if isinstance(row.value, str):
        return _of_text(row, row.value)
    text, question = _field(row.value, _TEXTS), _field(row.value, _QUESTIONS)
    if not question:
        return _of_text(row, text)
    if begun := _BEGUN.search(question):  # a prompt that ends in the head which the completion goes on behind
        text, question = begun[1] + text, question[: begun.start()]
    parts = transcript(text)
    told = parts.before.rstrip().endswith(question.strip())
    return text_trajectory(row, parts, parts.before if told else joined(question, parts.before))


def text_trajectory(
    row: Row, parts: Transcript, question: str, *, examples: str = "", right: bool | None = None, **rest: Any
) -> Trajectory:
    """Return the trajectory of a transcript.

    Args:
        row: Where it comes from.
        parts: The transcript.
        question: The question, with what stands before the first step.
        examples: What the model was shown before the question.
        right: The score, where the row has one of its own.
        rest: More of the trajectory's fields, such as how it ended where the row says so.
    """
    if not question.strip():
        raise Unreadable("there is no question before the first step")
    silent: Ended = "empty" if parts.enclosed else "steps"
    values: dict[str, Any] = {
        "prompt": question,
        "answer": parts.answer,
        "ended": silent if parts.answer is None else "answered",
        "reason": parts.verdict,
        "act_language": "text",
    }
    if (scored := parts.right if right is None else right) is not None:
        values["right"] = scored
    return made(row, (Message(role="user", content=examples + question), *parts.messages), **(values | rest))


def joined(*texts: str | None) -> str:
    """Return texts on lines of their own, without those that are empty."""
    return "\n".join(filter(None, texts))


def _of_text(row: Row, text: str) -> Trajectory:
    """Read a text that holds the question too; the last question with a step behind it is the trajectory's."""
    places = [found.start() for found in _LAST_QUESTION.finditer(text) if has_steps(text[found.start() :])]
    start = places[-1] if places else 0
    parts = transcript(text[start:])
    return text_trajectory(row, parts, parts.before, examples=text[:start])


def _field(value: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((value[name] for name in names if isinstance(value.get(name), str) and value[name]), "")
