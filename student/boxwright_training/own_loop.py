"""Runs the student's own loop on a model in this process: what it does on tasks, and not only how it fits trajectories.

For earnest use a model is exported and served; this is for trying one between two steps of training.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import torch
from jinja2 import TemplateError

from boxwright.errors import ContextOverflow, ModelError
from boxwright.models import Completion, ModelFacts, Usage
from boxwright.models.base import Request, RequestModel
from boxwright.models.wire import wire_message, wire_tool

__all__ = ["TransformersModel"]


class TransformersModel(RequestModel):
    """A causal language model of transformers behind the seam of models; greedy, one request at a time.

    It writes calls as text, which the student's loop reads as it does those of servers that know no tool calls.

    Args:
        model: the model, with its weights on a device.
        tokenizer: its tokenizer, with a chat template that tools are given to.
        options: what else the template is given.
        name: what its attempts are kept under; where there is none, the name it was loaded by, which an adapter's model
            has of its base.
    """

    def __init__(self, model: Any, tokenizer: Any, options: dict[str, Any] | None = None, *, name: str = "") -> None:
        self.uri = f"transformers/{name or getattr(model, 'name_or_path', '') or type(model).__name__}"
        self._model, self._tokenizer, self._options = model, tokenizer, options or {}
        self._window: int | None = getattr(model.config, "max_position_embeddings", None)
        self._ends = _ends(model, tokenizer)
        self._turn = asyncio.Lock()

    async def look_up(self) -> ModelFacts:
        """See `RequestModel.look_up`."""
        return ModelFacts(context_tokens=self._window)

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """See `RequestModel.answer_one`."""
        async with self._turn:
            stop = threading.Event()
            answer = asyncio.ensure_future(asyncio.to_thread(self._answer, request, stop))
            try:
                return await asyncio.shield(answer)
            except asyncio.CancelledError:
                stop.set()  # a thread cannot be ended from outside: it leaves off at the next token
                await asyncio.wait([answer])
                raise

    def _answer(self, request: Request, stop: threading.Event) -> Completion:
        started = time.perf_counter()
        ids = self._tokenizer(self._prompt(request), add_special_tokens=False, return_tensors="pt")
        length = ids["input_ids"].shape[1]
        room = request.max_tokens if self._window is None else min(request.max_tokens, self._window - length)
        if room < 1:
            raise ContextOverflow(self.uri, length, self._window, "no token of an answer fits")
        training = self._model.training
        self._model.eval()
        try:
            with torch.inference_mode():
                answer = self._model.generate(
                    **ids.to(self._model.device),
                    max_new_tokens=room,
                    do_sample=False,
                    eos_token_id=self._ends,
                    pad_token_id=self._tokenizer.pad_token_id,
                    use_cache=True,
                    stopping_criteria=[lambda ids, _: torch.full(ids.shape[:1], stop.is_set(), device=ids.device)],
                )[0, length:].tolist()
        finally:
            self._model.train(training)
        ended = bool(answer) and answer[-1] in self._ends
        said = answer[:-1] if ended else answer
        text = request.prefix + self._tokenizer.decode(said, clean_up_tokenization_spaces=False)
        usage = Usage(prompt_tokens=length, completion_tokens=len(answer), seconds=time.perf_counter() - started)
        return Completion(text=text, usage=usage, finish="stop" if ended else "length")

    def _prompt(self, request: Request) -> str:
        messages = [wire_message(message) for message in request.messages]
        for message, told in zip(request.messages, messages, strict=True):
            for call, wire in zip(message.tool_calls, told.get("tool_calls", ()), strict=True):
                wire["function"]["arguments"] = call.arguments  # as chat templates want them
        tools = [wire_tool(tool) for tool in request.tools] or None
        try:
            prompt: str = self._tokenizer.apply_chat_template(
                messages, tools=tools, add_generation_prompt=True, tokenize=False, **self._options
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise ModelError(f"{self.uri}: its chat template refuses the conversation ({error})") from error
        return prompt + request.prefix


def _ends(model: Any, tokenizer: Any) -> list[int]:
    """Return the tokens that end an answer: the tokenizer's, and those of the model's own settings."""
    told = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    more = told if isinstance(told, list) else [told]
    return sorted({one for one in (tokenizer.eos_token_id, *more) if one is not None})
