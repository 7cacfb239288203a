"""`litellm/<model>`: any hosted model LiteLLM knows; the teacher's default. Imported late: it takes seconds."""

from __future__ import annotations

import os
import time
from types import ModuleType

import openai

from boxwright.errors import ExtraMissing
from boxwright.models.base import Completion, Request, RequestModel
from boxwright.models.openai_api import TIMEOUT_SECONDS, as_model_error
from boxwright.models.wire import NOT_A_COMPLETION, not_a_completion, read_response, request_body


class LiteLlm(RequestModel):
    """A model reached through LiteLLM, with its cost in dollars."""

    def __init__(self, model: str) -> None:
        self.uri = f"litellm/{model}"
        self._model = model

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """See `RequestModel.answer_one`."""
        litellm = import_litellm()
        body = request_body(request, seed)
        if request.prefix:  # LiteLLM's name for it, mapped to each provider that can
            body["messages"][-1]["prefix"] = True
        started = time.monotonic()
        try:
            response = await litellm.acompletion(self._model, timeout=TIMEOUT_SECONDS, num_retries=2, **body)
            dumped = response.model_dump(warnings=False)
            completion = read_response(dumped, time.monotonic() - started, request.prefix)
        except openai.OpenAIError as error:
            raise as_model_error(error, self.uri, "the provider") from error
        except NOT_A_COMPLETION as error:
            raise not_a_completion(self.uri, error) from error
        return completion.model_copy(update={"usage": completion.usage.model_copy(update={"dollars": _cost(response)})})


def import_litellm() -> ModuleType:
    """Import LiteLLM without its look-up of prices on the network.

    Raises:
        ExtraMissing: It is not installed.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        import litellm
    except ModuleNotFoundError as error:
        raise ExtraMissing("a litellm/… model", "teacher") from error
    litellm.suppress_debug_info = True
    return litellm


def price_per_token(model: str) -> tuple[float, float] | None:
    """Return what a prompt token and a completion token cost in dollars, or None where no price is known."""
    prices = import_litellm().model_cost.get(model)
    if not prices or "input_cost_per_token" not in prices:
        return None
    return float(prices["input_cost_per_token"]), float(prices["output_cost_per_token"])


def _cost(response: object) -> float:
    try:
        return float(import_litellm().completion_cost(response))
    except Exception:  # LiteLLM raises bare Exception for a model it has no price for
        return 0.0
