"""Finding a suite: one that the product generates, by name, or the user's own `tasks.jsonl`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from boxwright.errors import BadInput, NotFound, TasksInvalid
from boxwright.tasks.game24 import game24
from boxwright.tasks.task import Split, Suite, Task

_GENERATED: dict[str, Callable[[], Suite]] = {"game24": game24}


def suite_names() -> list[str]:
    """Return the names of the suites the product generates."""
    return sorted(_GENERATED)


def load_suite(name: str) -> Suite:
    """Return a suite by name, or from a `.jsonl` file of tasks, one JSON object a line.

    Raises:
        NotFound: There is neither such a suite nor such a file.
        TasksInvalid: Lines of the file are not tasks, or a task leaks from one split into another.
    """
    if name in _GENERATED:
        return _GENERATED[name]()
    path = Path(name)
    if not path.is_file():
        raise NotFound(
            "suite", name, suite_names(), f"a suite is one of {', '.join(suite_names())} or a tasks.jsonl file"
        )
    return _read(path)


def split_tasks(suite: Suite, split: Split, limit: int | None = None) -> list[Task]:
    """Return a split's first tasks.

    Raises:
        BadInput: There are none.
    """
    tasks = suite.split(split, limit)
    if not tasks:
        raise BadInput(f"suite {suite.name!r} has no task in the split {split!r}; `boxwright suites` counts them")
    return tasks


def masked(text: str) -> str:
    """Return a text with its numbers masked and its spacing made even: two tasks that differ only there are one."""
    return re.sub(r"\s+", " ", re.sub(r"\d+(?:[.,]\d+)*", "#", text)).strip().casefold()


def _read(path: Path) -> Suite:
    tasks: list[Task] = []
    faults: list[str] = []
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TasksInvalid(str(path), [f"cannot be read as UTF-8 text: {error}"]) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            tasks.append(Task.model_validate_json(line))
        except ValidationError as error:
            faults += [f"line {number}: {_place(one['loc'])}{one['msg']}" for one in error.errors()]
    faults += _leaks(tasks) if not faults else []
    if not faults and not tasks:
        faults.append("it holds no task")
    if faults:
        raise TasksInvalid(str(path), faults)
    return Suite(path.stem, tuple(tasks))


def _leaks(tasks: list[Task]) -> list[str]:
    """Return where a task, or its text with the numbers masked, stands twice or in two splits."""
    faults, ids, texts = [], set[str](), dict[str, Task]()
    for task in tasks:
        if task.id in ids:
            faults.append(f"the id {task.id!r} stands twice")
        ids.add(task.id)
        first = texts.setdefault(masked(task.prompt) if task.scorer != "game24" else repr(sorted(task.numbers)), task)
        if first.split != task.split:
            faults.append(f"{task.id!r} ({task.split}) asks the same as {first.id!r} ({first.split}) but for numbers")
    return faults


def _place(location: tuple[int | str, ...]) -> str:
    return f"{'.'.join(map(str, location))}: " if location else ""
