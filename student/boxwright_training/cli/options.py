"""Options on how trajectories become what is learned, which several commands share. Not a command itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from boxwright.errors import BadInput

if TYPE_CHECKING:
    from boxwright_training.recipes import Recipe
    from boxwright_training.spans import Segmenter, Thoughts

Command = TypeVar("Command", bound=Callable[..., Any])
RESERVED = ("messages", "tools", "documents", "tokenize", "add_generation_prompt", "conversation", "chat_template")
"""What a template is given by us."""


@dataclass(frozen=True)
class Segmenting:
    """How trajectories are rendered and masked; see the options' help."""

    recipe: str
    changes: tuple[str, ...]
    window: int
    thoughts: Thoughts
    template: Path | None
    options: tuple[str, ...]

    def load_recipe(self) -> Recipe:
        """Return the recipe with its changes.

        Raises:
            NotFound: There is no such recipe.
            BadInput: It is none, or a change names no value of it.
        """
        from boxwright_training.recipes import load_recipe

        return load_recipe(self.recipe, dict(_pair("--set", one) for one in self.changes))

    @property
    def template_options(self) -> dict[str, Any]:
        """What else the template is given.

        Raises:
            BadInput: An option is no pair, or names what is given anyway.
        """
        pairs = dict(_pair("--template-option", one) for one in self.options)
        if taken := [key for key in pairs if key in RESERVED]:
            raise BadInput(
                f"--template-option {taken[0]}=…: that is given already; name a variable of the template's own"
            )
        return {key: _value(text) for key, text in pairs.items()}

    def segmenter(self, tokenizer: Any) -> Segmenter:
        """Return what segments with a tokenizer, as a run with these options does."""
        from boxwright_training.spans import Segmenter

        mistakes = self.load_recipe().mistakes
        return Segmenter(tokenizer, thoughts=self.thoughts, mistakes=mistakes, options=self.template_options)


_OPTIONS = (
    click.option(
        "--recipe", default="sad", show_default=True, help="One of `boxwright train recipes`, or a .toml file."
    ),
    click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a value of the recipe, such as optimisation.learning_rate=1e-4.",
    ),
    click.option(
        "--window",
        default=4096,
        show_default=True,
        type=click.IntRange(min=16),
        help="Tokens of a trajectory at most.",
    ),
    click.option(
        "--thoughts",
        default="template",
        show_default=True,
        type=click.Choice(["template", "content", "drop"]),
        help="Where thinking goes.",
    ),
    click.option(
        "--template", type=click.Path(path_type=Path), help="A chat template in place of the tokenizer's own."
    ),
    click.option(
        "--template-option",
        "options",
        multiple=True,
        metavar="KEY=VALUE",
        help="What else the template is given, such as enable_thinking=false.",
    ),
)


def segmenting_options(command: Command) -> Command:
    """Give a command the options of `Segmenting`, which it gets as one argument, `segmenting`."""
    names = Segmenting.__dataclass_fields__

    @wraps(command)
    def gathered(*arguments: Any, **values: Any) -> Any:
        segmenting = Segmenting(**{name: values.pop(name) for name in names})
        return command(*arguments, segmenting=segmenting, **values)

    decorated: Any = gathered
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def _pair(option: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise BadInput(f"{option} takes KEY=VALUE, got {text!r}")
    return key, value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
