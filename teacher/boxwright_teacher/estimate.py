"""What a mining run will take at the most, before it is started."""

from __future__ import annotations

from dataclasses import dataclass

from boxwright.errors import ExtraMissing
from boxwright_teacher.mine import ROUNDS

# Rough and on the high side: three turns of an attempt, each with the conversation so far; drafts with their repairs.
ATTEMPT_TOKENS = (4500, 1500)
DRAFT_TOKENS = (6000, 3500)


@dataclass(frozen=True)
class Estimate:
    """Tokens and dollars of a run."""

    prompt_tokens: int
    completion_tokens: int
    dollars: float | None
    """None where no price is known."""

    def __str__(self) -> str:
        cost = "no price known" if self.dollars is None else f"about ${self.dollars:.2f}"
        return f"up to {self.prompt_tokens + self.completion_tokens} tokens, {cost}"


def estimate(tasks: int, teacher: str) -> Estimate:
    """Return the estimate for so many tasks with the teacher of that URI."""
    prompt_tokens = tasks * ATTEMPT_TOKENS[0] + ROUNDS * DRAFT_TOKENS[0]
    completion_tokens = tasks * ATTEMPT_TOKENS[1] + ROUNDS * DRAFT_TOKENS[1]
    price = _price(teacher)
    dollars = None if price is None else prompt_tokens * price[0] + completion_tokens * price[1]
    return Estimate(prompt_tokens, completion_tokens, dollars)


def _price(teacher: str) -> tuple[float, float] | None:
    scheme, _, model = teacher.partition("/")
    if scheme in ("recorded", "rules", "ollama", "scripted"):
        return 0.0, 0.0
    if scheme != "litellm":
        return None
    from boxwright.models.litellm_api import price_per_token

    try:
        return price_per_token(model)
    except ExtraMissing:
        return None
