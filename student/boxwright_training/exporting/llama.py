"""Asks llama.cpp about a file just written: how it cuts texts, and how it goes on with tokens, as exactly as it can."""

from __future__ import annotations

import importlib.util
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright.errors import BadInput, ExtraMissing

if TYPE_CHECKING:
    import xllamacpp

_SECONDS = 600.0


def parameters_of(file: Path, context: int, threads: int, adapter: Path | None = None) -> xllamacpp.CommonParams:
    """Say what to load, a model's file and an adapter's on it, for one request at a time."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(file)
    if adapter is not None:
        parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    parameters.n_ctx, parameters.n_parallel, parameters.verbosity = context, 1, -1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    return parameters


class Served:
    """A file loaded in llama.cpp."""

    def __init__(self, file: Path, context: int, adapter: Path | None = None) -> None:
        import httpx2
        import xllamacpp

        parameters = parameters_of(file, context, len(os.sched_getaffinity(0)), adapter)
        parameters.n_gpu_layers, parameters.warmup = 0, False
        # Half precision here would move the logits by more than the two programs differ.
        parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        key = secrets.token_urlsafe()
        parameters.api_keys, parameters.cors_origins = [key], ""  # it opens a port on loopback in any case
        parameters.ui = parameters.endpoint_slots = False
        try:
            self._server = xllamacpp.Server(parameters)
        except RuntimeError as error:
            raise BadInput(
                f"llama.cpp cannot load {str(file)!r} ({error}): it may need more memory than there is"
            ) from error
        self._http = httpx2.Client(
            base_url=self._server.listening_address, headers={"Authorization": f"Bearer {key}"}, timeout=_SECONDS
        )

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Cut a text; `special` is whether what begins and ends a text is put around it."""
        asked = {"content": text, "add_special": special, "parse_special": True}
        tokens: list[int] = self._post("/tokenize", asked)["tokens"]
        return tokens

    def go_on(self, prompt: Sequence[int], most: int) -> list[int]:
        """Say the likeliest tokens after a prompt, up to and with one that ends the answer."""
        asked = {"prompt": list(prompt), "n_predict": most, "temperature": 0, "samplers": ["temperature"]}
        tokens: list[int] = self._post("/completion", asked | {"return_tokens": True, "cache_prompt": False})["tokens"]
        return tokens

    def close(self) -> None:
        """Unload the file."""
        self._http.close()
        del self._server

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._http.post(path, json=body).raise_for_status().json()


def here() -> bool:
    """Say whether llama.cpp is installed."""
    return importlib.util.find_spec("xllamacpp") is not None


@contextmanager
def serving(file: Path, context: int, adapter: Path | None = None) -> Iterator[Served]:
    """Load a file in llama.cpp, on the processor, for as long as it is asked.

    Args:
        file: A model's GGUF file.
        context: The window, in tokens.
        adapter: A LoRA adapter's GGUF file, to be put on the model.

    Raises:
        ExtraMissing: xllamacpp is not installed.
        BadInput: llama.cpp cannot load the file.
    """
    if not here():
        raise ExtraMissing("asking llama.cpp", "gguf")
    served = Served(file, context, adapter)
    try:
        yield served
    finally:
        served.close()
