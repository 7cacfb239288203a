"""The one error of a connection that a model is told, and the words of other people's errors in a line."""

from __future__ import annotations


class CallLost(Exception):
    """The server ended during a call that may not be repeated, or twice during one that may; told to the model."""


def in_a_line(error: BaseException) -> str:
    """Return what an error says, without jsonschema's dump of the schema and pydantic's links."""
    told = str(error).partition("\n\n")[0].splitlines()
    kept = [line for line in told if not line.lstrip().startswith("For further information visit")]
    return " ".join(" ".join(kept).split()) or type(error).__name__
