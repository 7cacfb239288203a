"""Writes a Modelfile: how Ollama is told of a GGUF file, the form of its conversations and the window it is for.

No Ollama runs in the tests: what it makes of the file is taken from its documentation and source. That the translated
template writes what the checkpoint's own writes is tested with Go's template engine, where Go is installed.
Source: Ollama's docs/modelfile.mdx and docs/template.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boxwright.errors import BadInput
from boxwright_training.exporting.architecture import Shape
from boxwright_training.exporting.folder import read_json
from boxwright_training.exporting.forms import recognise
from boxwright_training.exporting.vocabulary import Vocabulary

_QUOTES = '"""'
_UNKNOWN = """\
The chat template is none that is known here, so there is no TEMPLATE. Ollama then takes one of its own whose Jinja text
is near the file's (`template.Named` in its source), and else passes prompts on as they are: write a TEMPLATE by hand,
or ask llama.cpp, which reads the file's own."""


@dataclass(frozen=True)
class _Source:
    template: str | None
    tokens: dict[str, str]
    adds_bos: bool
    context: int


def modelfile(
    source: Path,
    *,
    context: int,
    system: str | None = None,
    temperature: float | None = 0.0,
    file: str = "model.gguf",
    made_from: str | None = None,
) -> str:
    """Give a Modelfile's text, to be written beside the GGUF file.

    Args:
        source: The GGUF file, or the folder that it was made from.
        context: The window (`num_ctx`), in tokens; Ollama's own default is far below what tools need.
        system: What conversations begin with, where they begin with no system prompt of their own.
        temperature: How much chance there is in the answers; None leaves it to Ollama.
        file: The GGUF file's name, beside the Modelfile.
        made_from: What the first comment says it was made from; the name of `source` where nothing is given.

    Raises:
        BadInput: The window is longer than the network's, `system` cannot be written, or `source` is neither.
    """
    told = _of_file(source) if source.is_file() else _of_folder(source)
    if not 0 < context <= told.context:
        raise BadInput(f"a window of {context} tokens: {str(source)!r} was trained for 1 to {told.context}; give fewer")
    form = recognise(told.template, told.tokens, adds_bos=told.adds_bos) if told.template else None
    notes = form.notes if form else _UNKNOWN.splitlines()
    lines = [f"# Made by Boxwright from {made_from or source.resolve().name}.", *(f"# {note}" for note in notes)]
    lines += [f"FROM ./{file}", f"PARAMETER num_ctx {context}"]
    lines += [] if temperature is None else [f"PARAMETER temperature {temperature:g}"]
    stops = form.stops if form else (told.tokens["eos_token"],) if "eos_token" in told.tokens else ()
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    lines += [f"TEMPLATE {_quoted(form.template)}"] if form else []
    lines += [f"SYSTEM {_quoted(system)}"] if system else []
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    if _QUOTES in text or text.endswith('"'):
        raise BadInput(
            f"a Modelfile cannot hold {text[-60:]!r}: it ends texts at {_QUOTES} and knows no escape; word it otherwise"
        )
    return f"{_QUOTES}{text}{_QUOTES}"


def _of_folder(folder: Path) -> _Source:
    shape = Shape.of(read_json(folder / "config.json"))
    vocabulary = Vocabulary.of(folder, shape.vocab)
    tokens = {f"{name}_token": vocabulary.tokens[number] for name, number in vocabulary.ids.items()}
    return _Source(vocabulary.template, tokens, vocabulary.adds["bos"], shape.context)


def _of_file(file: Path) -> _Source:
    from gguf import GGUFReader

    try:
        fields = GGUFReader(file).fields
    except (ValueError, OSError) as error:
        raise BadInput(f"cannot read {str(file)!r} as a GGUF file: {error}; write it again") from error
    held = {name: fields[name].contents() for name in fields if name != "tokenizer.ggml.tokens"}
    names = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    numbers = {ours: held.get(f"tokenizer.ggml.{theirs}_token_id") for ours, theirs in names.items()}
    tokens = {
        f"{name}_token": str(fields["tokenizer.ggml.tokens"].contents(number))
        for name, number in numbers.items()
        if number is not None
    }
    context = held.get(f"{held.get('general.architecture')}.context_length")
    if context is None:
        raise BadInput(f"{str(file)!r} says no context length; write it again")
    adds = bool(held.get("tokenizer.ggml.add_bos_token", False))
    return _Source(held.get("tokenizer.chat_template"), tokens, adds, int(context))
