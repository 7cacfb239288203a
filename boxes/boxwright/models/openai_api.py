"""`openai/<model>@<base url>`: any server of OpenAI's chat completions: vLLM, llama.cpp, LM Studio, OpenAI's.

Its errors serve LiteLLM too, whose own derive from them.
"""

from __future__ import annotations

import os
import time

import httpx
import openai

from boxwright.errors import ModelError, ModelUnreachable
from boxwright.models.base import Completion, Request, RequestModel
from boxwright.models.wire import NOT_A_COMPLETION, not_a_completion, read_response, request_body

TIMEOUT_SECONDS = 300.0


class OpenAiApi(RequestModel):
    """A model behind a server that speaks OpenAI's chat completions."""

    def __init__(self, model: str, base_url: str) -> None:
        self.uri = f"openai/{model}@{base_url}"
        self._model, self._base_url = model, base_url
        # Local servers want no key, but the client insists on one.
        key = os.environ.get("OPENAI_API_KEY") or "none"
        self._client = openai.AsyncOpenAI(base_url=base_url, api_key=key, timeout=TIMEOUT_SECONDS)

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """See `RequestModel.answer_one`."""
        started = time.monotonic()
        body = request_body(request, seed)
        if request.prefix:  # vLLM's names; llama.cpp continues a last assistant message unasked
            body["extra_body"] = {"continue_final_message": True, "add_generation_prompt": False}
        try:
            response = await self._client.chat.completions.create(model=self._model, **body)
            return read_response(response, time.monotonic() - started, request.prefix)
        except openai.OpenAIError as error:
            raise as_model_error(error, self.uri, self._base_url) from error
        except (*NOT_A_COMPLETION, httpx.InvalidURL) as error:
            raise not_a_completion(self.uri, error) from error


def as_model_error(error: openai.OpenAIError, uri: str, where: str) -> ModelError:
    """Return an error of OpenAI's client, or of LiteLLM whose errors derive from them, as ours."""
    said = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return ModelUnreachable(f"{uri}: the key was refused ({said}); set the provider's key, such as OPENAI_API_KEY")
    if isinstance(error, openai.NotFoundError):
        return ModelUnreachable(f"{uri}: {where} has no such model or path ({said})")
    if isinstance(error, openai.APITimeoutError):
        return ModelUnreachable(f"{uri}: no answer from {where} within {TIMEOUT_SECONDS:g} seconds")
    if isinstance(error, openai.APIConnectionError):
        return ModelUnreachable(f"{uri}: no connection to {where}; is the server running? ({said})")
    return ModelError(f"{uri}: {said}")
