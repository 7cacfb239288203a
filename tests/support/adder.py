"""Two tools that say what was done, one of which changes something, and what a scripted model may be made of."""

from collections.abc import Sequence
from typing import Any

from boxwright.models import Completion, ModelFacts, Scripted, ToolDefinition
from boxwright_student import ToolOutcome

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


class Adder:
    """Counts what is done; `look` changes nothing, `add` does."""

    def __init__(self, more: int = 0, others: Sequence[ToolDefinition] = ()) -> None:
        self.done: list[tuple[str, int]] = []
        self._all = [
            ToolDefinition(name="look", description="Look at a number.", parameters=NUMBER),
            ToolDefinition(name="add", description="Add to the total.", parameters=NUMBER),
            *others,
            *(
                ToolDefinition(name=f"tool_{index}", description=f"Does thing number {index}.", parameters=NUMBER)
                for index in range(more)
            ),
        ]

    @property
    def definitions(self) -> Sequence[ToolDefinition]:
        return self._all

    digest = "adder"

    def news(self) -> list[str]:
        return []

    def read_only(self, name: str) -> bool:
        return name == "look"

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        self.done.append((name, arguments["n"]))
        return ToolOutcome(f"{name} {arguments['n']}")


class Facts(Scripted):
    """A scripted model about which something is known."""

    def __init__(self, completions: list[Completion | str], facts: ModelFacts) -> None:
        super().__init__(completions)
        self._facts = facts


def coding(*lines: str) -> str:
    """Return lines of code as a model fences them."""
    return "```python\n" + "\n".join(lines) + "\n```"
