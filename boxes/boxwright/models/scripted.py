"""`scripted`: a real model of the seam that answers from a list, for tests; it runs out loudly."""

from __future__ import annotations

from collections.abc import Iterable

from boxwright.errors import ModelError
from boxwright.models.base import Completion, Request, RequestModel, ToolCall


class Scripted(RequestModel):
    """Answers with the given completions, in order; a string is an answer without tool calls."""

    uri = "scripted"
    label = "scripted"

    def __init__(self, completions: Iterable[Completion | str]) -> None:
        self._left = [Completion(text=one) if isinstance(one, str) else one for one in completions]
        self.requests: list[Request] = []
        """Every request that was made, for tests to look at."""

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """Return the next completion.

        Raises:
            ModelError: The script is at its end.
        """
        self.requests.append(request)
        if not self._left:
            raise ModelError(f"the script is at its end after {len(self.requests) - 1} completions")
        return self._left.pop(0)


def calling(name: str, **arguments: object) -> Completion:
    """Return a completion that calls one tool."""
    return Completion(tool_calls=(ToolCall(id="call_0", name=name, arguments=dict(arguments)),), finish="tool_calls")
