"""Recipes: how to train, as small files that each name their paper and where they depart from it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from boxwright.errors import BadInput, NotFound
from boxwright_training.filters import Filters

__all__ = ["Adapter", "Curriculum", "Loss", "Method", "Optimisation", "Recipe", "load_recipe", "recipe_names"]

FOLDER = Path(__file__).parent
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
LEAST, MOST = 0.1, 10.0
"""Bounds of learned alpha and beta."""
Method = Literal["acts", "reasoning"]
"""Whether a trajectory acts, or only reasons."""
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Loss(_Table):
    """What the student is told of each token."""

    teacher: bool = False
    """Whether reasoning is learned from a teacher's probabilities; else every token is learned as it stands."""
    act: Literal["cross-entropy", "kl"] = "cross-entropy"
    """The loss on acts, where there is a teacher."""
    temperature: Positive = 1.0
    """Of both softmaxes in the KL."""
    normalise: Literal["span", "token"] = "span"
    """Whether each kind of span has a mean of its own, weighted by alpha and beta, or all tokens have one."""
    weights: Literal["fixed", "learned"] = "fixed"
    alpha: Weight = 1.0
    """Weight of reasoning."""
    beta: Weight = 1.0
    """Weight of acts."""
    alpha_end: Weight | None = None
    """Where alpha is at the end of the run, on a straight line from `alpha`; none keeps it."""
    beta_end: Weight | None = None
    projection: bool = False
    """Whether each term's gradient loses what opposes the other's (PCGrad)."""


class Curriculum(_Table):
    """In what order, and with what weight, trajectories are seen."""

    order: Literal["shuffled", "easy-first", "paced"] = "shuffled"
    """`easy-first` goes through them by complexity, anew in each epoch; `paced` draws from a share of the easiest that
    grows over the run."""
    reason: Finite = 1.0
    """What reasoning tokens count in the complexity, each measure being standardised over all rows."""
    act: Finite = 1.0
    """What the number of acts counts."""
    entropy: Finite = 0.0
    """What the teacher's mean entropy counts; it takes a cached teacher."""
    start: float = Field(default=0.25, gt=0, le=1)
    """`paced`: the share of rows that the run begins with."""
    strength: Weight = 0.0
    """How much more easy rows weigh in the loss at first, as exp(-strength * complexity); nothing at the end."""


class Adapter(_Table):
    """LoRA: small matrices beside the weights are trained, and not these."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)


class Optimisation(_Table):
    """How the weights are moved."""

    learning_rate: Positive = 2e-4
    epochs: Positive = 2.0
    batch: int = Field(default=8, ge=1)
    """Rows of one step, over all accumulation and devices."""
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises."""
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    weight_decay: Weight = 0.0
    clip: Weight = 1.0
    """The longest gradient; 0 clips none."""
    weights_rate: Positive = 0.01
    """Learning rate of learned alpha and beta."""


class Recipe(_Table):
    """How to train."""

    name: str
    summary: str
    paper: str
    """The paper it comes from, with its number on arXiv; empty for one that is nobody's."""
    departs: tuple[str, ...] = ()
    """Where it departs from the paper, and why."""
    methods: dict[Method, Positive] = {"acts": 1.0, "reasoning": 1.0}
    """Shares in which trajectories with acts, and those that only reason, are drawn; equal ones are as the data are. A
    method that is not named is left out."""
    mistakes: Literal["masked", "learned"] = "masked"
    """Whether calls that failed are learned; what is said next is, in any case."""
    filters: Filters = Filters()
    loss: Loss = Loss()
    curriculum: Curriculum = Curriculum()
    adapter: Adapter | None = Adapter()
    """None trains all weights."""
    optimisation: Optimisation = Optimisation()

    @model_validator(mode="after")
    def _agrees(self) -> Recipe:
        loss = self.loss
        alpha_end = loss.alpha if loss.alpha_end is None else loss.alpha_end
        equal = loss.alpha == loss.beta and alpha_end == (loss.beta if loss.beta_end is None else loss.beta_end)
        if loss.normalise == "token" and (loss.weights == "learned" or not equal):
            raise ValueError("loss.normalise = 'token' has one mean over all tokens, so alpha and beta must be equal")
        if loss.weights == "learned" and not all(LEAST < start < MOST for start in (loss.alpha, loss.beta)):
            raise ValueError(f"loss.weights = 'learned' starts from alpha and beta between {LEAST} and {MOST}")
        if loss.weights == "learned" and (loss.alpha_end is not None or loss.beta_end is not None):
            raise ValueError("loss.weights = 'learned' takes no alpha_end and beta_end")
        if self.curriculum.order == "paced" and len(set(self.methods.values())) > 1:
            raise ValueError("curriculum.order = 'paced' draws by complexity alone: methods must have equal shares")
        if loss.weights == "learned" and loss.projection:
            raise ValueError("loss.projection takes fixed weights: it projects the weighted terms")
        return self


def recipe_names() -> list[str]:
    """Return the names of the recipes that ship."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_recipe(name: str, changes: dict[str, str] | None = None) -> Recipe:
    """Return a recipe by name, or from a `.toml` file, with single values changed.

    Args:
        name: One that ships, or a file.
        changes: `table.key` (or `key`) and the value as TOML writes it; a text that is none is taken as it stands.

    Raises:
        NotFound: There is no such recipe.
        BadInput: The file is no recipe, or a change names no value of it; every fault is told.
    """
    path = FOLDER / f"{name}.toml" if name in recipe_names() else Path(name)
    if not path.is_file():
        raise NotFound("recipe", name, recipe_names(), f"one of {', '.join(recipe_names())}, or a .toml file")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"the recipe {str(path)!r} cannot be read: {error}") from error
    for key, value in (changes or {}).items():
        _change(table, key, value)
    try:
        return Recipe.model_validate({"name": path.stem, **table})
    except ValidationError as error:
        faults = "; ".join(map(_told, error.errors()))
        raise BadInput(f"the recipe {name!r} has faults: {faults}") from error


def _told(fault: Any) -> str:
    place = ".".join(map(str, fault["loc"]))
    return f"{place}: {fault['msg']}" if place else str(fault["ctx"]["error"])


def _change(table: dict[str, Any], key: str, text: str) -> None:
    *folders, last = key.split(".")
    for folder in folders:
        inner = table.setdefault(folder, {})
        if not isinstance(inner, dict):
            raise BadInput(f"--set {key}={text}: {folder!r} is no table of a recipe")
        table = inner
    if text == "none":
        table[last] = None
        return
    try:
        table[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = text
