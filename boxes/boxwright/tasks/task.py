"""A task and a suite of tasks, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from boxwright.errors import NotFound
from boxwright.jsontypes import digest

Split = Literal["build", "dev", "test"]
SPLITS: tuple[Split, ...] = ("build", "dev", "test")
ScorerName = Literal["game24", "exact", "number"]


class Task(BaseModel):
    """A prompt, with what is needed to score an answer to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    prompt: str = Field(min_length=1)
    scorer: ScorerName
    split: Split
    answer: str | None = None
    """The reference answer; scorers that need none check the answer itself."""
    numbers: tuple[int, ...] = ()
    """Game of 24: the given numbers."""
    tolerance: float = Field(default=1e-6, ge=0)
    """Scorer `number`: how far an answer may be off, absolute or relative."""
    source: str = "generated"
    """Where the task comes from."""

    @model_validator(mode="after")
    def _can_be_scored(self) -> Task:
        if self.scorer == "game24" and not self.numbers:
            raise ValueError("the scorer 'game24' needs the task's numbers")
        if self.scorer in ("exact", "number") and not (self.answer or "").strip():
            raise ValueError(f"the scorer {self.scorer!r} needs an answer to compare with")
        if self.scorer == "number":
            float((self.answer or "").replace(",", ""))
        return self


@dataclass(frozen=True)
class Suite:
    """A named set of tasks in the splits `build`, `dev` and `test`."""

    name: str
    tasks: tuple[Task, ...]

    def split(self, split: Split, limit: int | None = None) -> list[Task]:
        """Return the tasks of a split in their order, the first `limit` of them."""
        return [task for task in self.tasks if task.split == split][:limit]

    def task(self, task_id: str) -> Task:
        """Return one task.

        Raises:
            NotFound: The suite has no such task.
        """
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise NotFound(f"task of suite {self.name!r}", task_id, [task.id for task in self.tasks])


def tasks_digest(tasks: Sequence[Task]) -> str:
    """Return the digest over the tasks, whatever their order."""
    return digest(sorted(task.model_dump_json() for task in tasks))
