"""A budget around a model: what a run may spend, in dollars and in tokens, before it stops cleanly."""

from __future__ import annotations

from boxwright.errors import BudgetSpent
from boxwright.models.base import ChatModel, Completion, ModelFacts, Request, RequestModel, Usage, ask


class Budgeted(RequestModel):
    """Asks the model behind it until the budget is spent; an answer under way is still paid for and kept."""

    streams = True

    def __init__(self, inner: ChatModel, *, dollars: float, tokens: int) -> None:
        self.uri, self.label = inner.uri, inner.label
        self._inner, self._dollars, self._tokens = inner, dollars, tokens
        self.spent = Usage()
        """What was used so far."""

    async def look_up(self) -> ModelFacts:
        """Return the facts of the model behind."""
        return await self._inner.facts()

    async def answer(self, request: Request) -> list[Completion]:
        """See `RequestModel.answer`.

        Raises:
            BudgetSpent: The budget was used up before this request.
        """
        if 0 < self.spent.dollars >= self._dollars or self.spent.tokens >= self._tokens:
            raise BudgetSpent(
                f"the budget of ${self._dollars:g} and {self._tokens} tokens is spent "
                f"(${self.spent.dollars:.4f}, {self.spent.tokens} tokens); what was done is kept: "
                "run the same command with a larger BOXWRIGHT_BUDGET_USD or BOXWRIGHT_BUDGET_TOKENS to go on"
            )
        completions = await ask(self._inner, request)
        for completion in completions:
            self.spent = self.spent + completion.usage
        return completions

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """Never called: `answer` passes the whole request on."""
        raise NotImplementedError
