"""A mining run's folder: what it was started with, and where each stage keeps what it made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from boxwright.errors import RecordInvalid
from boxwright.files import writable, write_atomically
from boxwright.jsontypes import pretty


class RunFolder:
    """The folder of one run; the same inputs find it again."""

    def __init__(self, path: Path, inputs: dict[str, Any]) -> None:
        """Open the folder, or start it.

        Raises:
            RecordInvalid: It belongs to a run with other inputs.
            BadInput: It cannot be written.
        """
        self.path = path
        head = path / "run.json"
        with writable(path):
            pass
        if head.exists():
            try:
                before = dict(json.loads(head.read_text(encoding="utf-8")))
            except (ValueError, TypeError) as error:
                raise RecordInvalid(f"{head} cannot be read ({error}); choose another folder with --run") from error
            differing = sorted(key for key in {*inputs, *before} if inputs.get(key) != before.get(key))
            if differing:
                raise RecordInvalid(
                    f"{path} belongs to another run: {', '.join(differing)} differ; "
                    "choose another folder with --run, or remove that one"
                )
        else:
            write_atomically(head, pretty(inputs))

    @property
    def completions(self) -> Path:
        """Every completion that was paid for: what a second start replays."""
        return self.path / "completions.jsonl"

    @property
    def attempts(self) -> Path:
        """The trajectories."""
        return self.path / "attempts.jsonl"

    @property
    def ledger(self) -> Path:
        """What the run took and made."""
        return self.path / "ledger.json"

    def draft(self, round_: int) -> Path:
        """The draft of a round, as the teacher wrote it."""
        return self.path / f"draft-{round_}.md"

    def faults(self, round_: int) -> Path:
        """What verification found in that draft."""
        return self.path / f"draft-{round_}.faults.json"

    def candidate(self, name: str) -> Path:
        """The box that passed, until a person publishes it."""
        return self.path / "candidate" / name
