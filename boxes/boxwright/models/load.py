"""From a URI to a model. Providers are imported only when they are asked for."""

from __future__ import annotations

from pathlib import Path

from boxwright.errors import BadInput, NotFound
from boxwright.models.base import ChatModel
from boxwright.settings import Settings

FORMS = {
    "gguf": "gguf/FILE.gguf",
    "litellm": "litellm/gpt-4o",
    "ollama": "ollama/qwen3:8b",
    "openai": "openai/MODEL@http://127.0.0.1:8000/v1",
    "pocket": "pocket",
    "recorded": "recorded/FILE.jsonl",
    "rules": "rules",
}
"""Each scheme with an example."""


def load_model(uri: str, settings: Settings) -> ChatModel:
    """Return the model of a URI; nothing is asked of it yet.

    Raises:
        NotFound: There is no such scheme.
        BadInput: The rest of the URI lacks something, or names no model file.
        ExtraMissing: The model needs a package that is not installed.
        RecordInvalid: A recording cannot be read.
    """
    scheme, _, rest = uri.partition("/")
    if scheme not in FORMS:
        raise NotFound("kind of model", scheme, FORMS, f"a model is written as {', '.join(FORMS.values())}")
    if not rest and scheme not in ("rules", "pocket"):
        raise BadInput(f"{uri!r} names no model; write it as {FORMS[scheme]}")
    if scheme == "litellm":
        from boxwright.models.litellm_api import LiteLlm

        return LiteLlm(rest)
    if scheme == "ollama":
        from boxwright.models.ollama_api import Ollama

        return Ollama(
            rest,
            settings.ollama_url,
            settings.context_tokens,
            thinking=settings.thinking,
            keep_alive=settings.keep_alive,
        )
    if scheme == "openai":
        from boxwright.models.openai_api import OpenAiApi

        model, _, url = rest.rpartition("@")
        if not model or not url.startswith(("http://", "https://")):
            raise BadInput(f"{uri!r} lacks its server's address; write it as {FORMS['openai']}")
        return OpenAiApi(model, url, thinking=settings.thinking)
    if scheme == "gguf":
        from boxwright.models.gguf import Gguf

        file, plus, adapter = rest.partition(".gguf+")
        if plus and not adapter:
            raise BadInput(f"{uri!r} names no adapter behind its '+'; write it as gguf/FILE.gguf+ADAPTER.gguf")
        return Gguf(
            Path(f"{file}.gguf" if plus else rest),
            settings.context_tokens,
            adapter=Path(adapter) if plus else None,
            thinking=settings.thinking,
        )
    if scheme == "pocket":
        from boxwright.models.pocket import Pocket

        return Pocket(rest, settings)
    if scheme == "recorded":
        from boxwright.models.recorded import Recorded

        return Recorded(Path(rest))
    from boxwright.models.rules import Rules

    return Rules()
