"""Trajectories and where they are kept: append-only JSON lines with a schema version."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boxwright.errors import RecordInvalid
from boxwright.files import append_line, read_lines
from boxwright.jsontypes import digest
from boxwright.models.base import Message, ToolDefinition, Usage

SCHEMA: Literal[1] = 1
ActLanguage = Literal["tool-calls", "code"]
"""How our agent acts."""
KeptLanguage = Literal["tool-calls", "code", "text"]
"""How a trajectory's acts are written. In `text` they are lines of the content (`Message.acts`), as in ReAct's prompts,
and what came of them is the user's next message; such trajectories are imported, to be trained on."""
Ended = Literal[
    "answered",
    "empty",
    "length",
    "steps",
    "tokens",
    "seconds",
    "repetition",
    "context",
    "cancelled",
    "model-error",
    "tools-error",
]
"""What ends an attempt: its answer, none, one without end, a bound, the model's window, a person, or an error of the
model or the tools."""


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
    times: tuple[float, ...] = ()
    """For each message, the seconds from `started` until it was there; empty where nobody took them."""
    answer: str | None
    """The final answer; none where the attempt ended without one."""
    ended: Ended
    note: str = ""
    """More on how it ended, such as the model's error."""
    right: bool | None = None
    """The score, where there was a scorer."""
    reason: str = ""
    """The scorer's reason."""
    model: str
    label: str = ""
    """What must be said of the model wherever this shows, such as `hand-written`."""
    act_language: KeptLanguage = "tool-calls"
    tools: tuple[str, ...] = ()
    """Names of the tools that were mounted."""
    toolset: str = ""
    """Digest of these tools: their schemas and the releases they come from."""
    definitions: tuple[ToolDefinition, ...] = ()
    """These tools as the model was shown them; the store keeps each list of them once."""
    usage: Usage
    started: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def calls(self) -> int:
        """How many tool calls were made; where acts are code, by that code; where they are text, how many there are."""
        if self.act_language == "text":
            return sum(len(message.acts) for message in self.messages)
        code = self.act_language == "code"
        return sum(len(message.inner if code else message.tool_calls) for message in self.messages)


class TraceStore:
    """A file of trajectories. A line is one, or a list of tool definitions that trajectories name by digest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: set[str] | None = None

    def append(self, trajectory: Trajectory) -> None:
        """Add a trajectory; it is on disk when this returns.

        Raises:
            BadInput: The file cannot be written.
        """
        row = trajectory.model_dump(mode="json", exclude_defaults=True) | {"schema_version": SCHEMA}
        if trajectory.definitions:
            row["definitions"] = self._hold(row["definitions"])
        append_line(self.path, row)

    def read(self) -> list[Trajectory]:
        """Return all trajectories; a torn line is skipped with a warning, an absent file holds none.

        Raises:
            RecordInvalid: A line is no trajectory of a schema known here.
        """
        if not self.path.exists():
            return []
        found: list[Trajectory] = []
        lists: dict[str, tuple[ToolDefinition, ...]] = {}
        for number, row in read_lines(self.path):
            try:
                if "definitions_digest" in row:
                    held = _Definitions.model_validate(row)
                    lists[held.definitions_digest] = held.definitions
                else:
                    found.append(Trajectory.model_validate(self._whole(number, row, lists)))
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                raise RecordInvalid(f"{self.path}:{number}: no trajectory ({where}: {first['msg']})") from error
        return found

    def _hold(self, definitions: list[Any]) -> str:
        """Write the definitions where the file does not hold them yet, and return their digest."""
        key = digest(definitions)
        if self._held is None or not self.path.exists():
            rows = read_lines(self.path) if self.path.exists() else ()
            self._held = {str(row["definitions_digest"]) for _, row in rows if "definitions_digest" in row}
        if key not in self._held:
            append_line(self.path, {"schema_version": SCHEMA, "definitions_digest": key, "definitions": definitions})
            self._held.add(key)
        return key

    def _whole(self, number: int, row: dict[str, Any], lists: dict[str, tuple[ToolDefinition, ...]]) -> dict[str, Any]:
        """Return the row with its definitions in the place of their digest."""
        key = row.get("definitions")
        if not isinstance(key, str):
            return row
        if key not in lists:  # its line was torn, or cut off by hand
            warnings.warn(f"{self.path}:{number}: the definitions {key!r} are not in the file", stacklevel=3)
        return row | {"definitions": lists.get(key, ())}


class _Definitions(BaseModel):
    """The line of a list of tool definitions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1]
    definitions_digest: str
    definitions: tuple[ToolDefinition, ...]
