"""The prompts, which are files under `prompts/`, and the digest that a mined box records of them."""

from __future__ import annotations

from importlib import resources
from string import Template
from typing import Literal

from boxwright.jsontypes import digest

PromptName = Literal["attempt", "draft", "repair"]
NAMES: tuple[PromptName, ...] = ("attempt", "draft", "repair")


def prompt(name: PromptName, **values: str) -> str:
    """Return the prompt of that name with its `$values` put in."""
    text = resources.files("boxwright_teacher").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8")
    return Template(text).substitute(values).strip()


def prompts_digest() -> str:
    """Return the digest over all prompts."""
    folder = resources.files("boxwright_teacher").joinpath("prompts")
    return digest({name: folder.joinpath(f"{name}.md").read_text(encoding="utf-8") for name in NAMES})
