"""Runs the student's own loop on a model in this process: what it does on tasks, and not only how it fits trajectories.

For earnest use a model is exported and served; this is for trying one between two steps of training.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import torch

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
    """

    def __init__(self, model: Any, tokenizer: Any, options: dict[str, Any] | None = None) -> None:
        self.uri = f"transformers/{getattr(model, 'name_or_path', '') or type(model).__name__}"
        self._model, self._tokenizer, self._options = model, tokenizer, options or {}
        self._turn = asyncio.Lock()

    async def look_up(self) -> ModelFacts:
        """See `RequestModel.look_up`."""
        return ModelFacts(context_tokens=self._model.config.max_position_embeddings)

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """See `RequestModel.answer_one`."""
        async with self._turn:
            return await asyncio.to_thread(self._answer, request)

    def _answer(self, request: Request) -> Completion:
        started = time.perf_counter()
        messages = [wire_message(message) for message in request.messages]
        for message, told in zip(request.messages, messages, strict=True):
            for call, wire in zip(message.tool_calls, told.get("tool_calls", ()), strict=True):
                wire["function"]["arguments"] = call.arguments  # as chat templates want them
        prompt = self._tokenizer.apply_chat_template(
            messages,
            tools=[wire_tool(tool) for tool in request.tools] or None,
            add_generation_prompt=True,
            tokenize=False,
            **self._options,
        )
        ids = self._tokenizer(prompt + request.prefix, add_special_tokens=False, return_tensors="pt").to(
            self._model.device
        )
        with torch.inference_mode():
            answer = self._model.generate(
                **ids,
                max_new_tokens=request.max_tokens,
                do_sample=False,
                eos_token_id=self._tokenizer.eos_token_id,
                pad_token_id=self._tokenizer.pad_token_id,
                use_cache=True,
            )[0, ids["input_ids"].shape[1] :].tolist()
        ended = bool(answer) and answer[-1] == self._tokenizer.eos_token_id
        text = request.prefix + self._tokenizer.decode(answer[:-1] if ended else answer)
        usage = Usage(
            prompt_tokens=ids["input_ids"].shape[1],
            completion_tokens=len(answer),
            seconds=time.perf_counter() - started,
        )
        return Completion(text=text, usage=usage, finish="stop" if ended else "length")
