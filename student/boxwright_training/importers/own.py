"""Our own trajectories, as `TraceStore` writes them: a line is one, or a list of tool definitions named by digest.

Unlike the store, which refuses a file with a bad line, this reads the others.
"""

from __future__ import annotations

import warnings
from typing import Any

from pydantic import ValidationError

from boxwright.traces import Trajectory
from boxwright_training.importers.row import Row, Unreadable


def fits(value: Any) -> bool:
    """Say whether this is a line of a store."""
    if not isinstance(value, dict) or "schema_version" not in value:
        return False
    return "definitions_digest" in value or {"prompt", "messages", "model"} <= value.keys()


class Reader:
    """Reads the lines of one file, in order."""

    def __init__(self) -> None:
        self._lists: dict[str, Any] = {}

    def read(self, row: Row) -> Trajectory | None:
        """Return the trajectory of a line, or nothing where it is a list of definitions.

        Raises:
            Unreadable: It is no trajectory of a schema known here.
        """
        value = dict(row.value)
        if "definitions_digest" in value:
            self._lists[value["definitions_digest"]] = value["definitions"]
            return None
        if isinstance(key := value.get("definitions"), str):
            if key not in self._lists:
                warnings.warn(f"{row.source}: the definitions {key!r} are not in the file", stacklevel=2)
            value["definitions"] = self._lists.get(key, ())
        try:
            return Trajectory.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            raise Unreadable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
