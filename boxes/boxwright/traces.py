"""Trajectories and where they are kept: append-only JSON lines with a schema version."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boxwright.errors import RecordInvalid
from boxwright.files import append_line, read_lines
from boxwright.models.base import Message, Usage

SCHEMA: Literal[1] = 1
ActLanguage = Literal["tool-calls"]


class Trajectory(BaseModel):
    """One attempt at a task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = SCHEMA
    task: str = ""
    """The task's id; empty for a question that is no task."""
    suite: str = ""
    split: str = ""
    prompt: str
    messages: tuple[Message, ...]
    """The whole conversation, tool results included."""
    answer: str | None
    """The final answer; none where the attempt ended without one."""
    ended: Literal["answered", "steps", "tokens", "seconds", "repetition", "model-error"]
    """What ended the attempt."""
    note: str = ""
    """More on how it ended, such as the model's error."""
    right: bool | None = None
    """The score, where there was a scorer."""
    reason: str = ""
    """The scorer's reason."""
    model: str
    label: str = ""
    """What must be said of the model wherever this shows, such as `hand-written`."""
    act_language: ActLanguage = "tool-calls"
    tools: tuple[str, ...] = ()
    """Names of the tools that were mounted."""
    toolset: str = ""
    """Digest of these tools: their schemas and the releases they come from."""
    usage: Usage
    started: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def calls(self) -> int:
        """How many tool calls were made."""
        return sum(len(message.tool_calls) for message in self.messages)


class TraceStore:
    """A file of trajectories."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, trajectory: Trajectory) -> None:
        """Add a trajectory; it is on disk when this returns.

        Raises:
            BadInput: The file cannot be written.
        """
        append_line(self.path, trajectory.model_dump(mode="json", exclude_defaults=True) | {"schema_version": SCHEMA})

    def read(self) -> list[Trajectory]:
        """Return all trajectories; a torn line is skipped with a warning, an absent file holds none.

        Raises:
            RecordInvalid: A line is no trajectory of a schema known here.
        """
        if not self.path.exists():
            return []
        found = []
        for number, row in read_lines(self.path):
            try:
                found.append(Trajectory.model_validate(row))
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                raise RecordInvalid(f"{self.path}:{number}: no trajectory ({where}: {first['msg']})") from error
        return found
