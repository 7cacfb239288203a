"""Recorded calls of a box's tools: its contract tests, as values. `check` runs them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from boxwright.errors import BoxInvalid
from boxwright.jsontypes import canonical

FEWEST_PER_TOOL = 3


class Example(BaseModel):
    """One call of a tool and what must come of it: a result, or a refusal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: str
    arguments: dict[str, Any]
    result: Any = None
    """The result it must give; `null` counts, so `raises` decides which of the two is meant."""
    raises: str | None = None
    """Words that the refusal must contain."""
    tolerance: float = Field(default=0.0, ge=0)
    """How far numbers of the result may be off, absolute or relative."""

    @model_validator(mode="after")
    def _one_outcome(self) -> Example:
        if (self.raises is not None) == ("result" in self.model_fields_set):
            raise ValueError("an example has either 'result' or 'raises'")
        return self


def parse_examples(text: str, where: str = "examples.jsonl") -> list[Example]:
    """Read examples, one JSON object a line.

    Raises:
        BoxInvalid: Lines are not examples; `faults` holds every one with its line.
    """
    examples, faults = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            examples.append(Example.model_validate_json(line))
            canonical(examples[-1].model_dump())
        except ValidationError as error:
            faults += [f"line {number}: {_place(one['loc'])}{one['msg']}" for one in error.errors()]
        except ValueError:
            faults.append(f"line {number}: it holds NaN or an infinity; examples are finite JSON")
    if faults:
        raise BoxInvalid(where, faults)
    return examples


def coverage_faults(examples: Iterable[Example], tools: Sequence[str]) -> list[str]:
    """Return what the examples leave untested: fewer than three a tool, none refused, or an unknown tool."""
    listed = list(examples)
    count = Counter(example.tool for example in listed)
    refused = {example.tool for example in listed if example.raises is not None}
    faults = [f"examples name the tool {name!r}, which the box does not have" for name in count if name not in tools]
    for name in tools:
        if count[name] < FEWEST_PER_TOOL:
            faults.append(f"tool {name!r} has {count[name]} examples; give it at least {FEWEST_PER_TOOL}")
        if name not in refused:
            faults.append(f"tool {name!r} has no example of a refused input; add one with 'raises'")
    return faults


def _place(location: tuple[int | str, ...]) -> str:
    return f"{'.'.join(str(part) for part in location)}: " if location else ""
