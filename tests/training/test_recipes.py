"""Recipes: those that ship name their paper, and what does not fit in one is told, all of it at once."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from boxwright.errors import BadInput, NotFound
from boxwright_training.recipes import FOLDER, Adapter, load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_that_ships_names_its_paper_and_says_where_it_departs(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert re.search(r"arXiv \d{4}\.\d{4,5}", recipe.paper)
    assert recipe.summary
    assert recipe.departs or name == "cot"
    for line in recipe.departs:
        assert len(line.split()) > 5, line
        assert not line.endswith(".")  # shown as items of a list
    written = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    kept = recipe.model_dump(mode="json")
    for table, values in written.items():
        if isinstance(values, dict):
            assert {key: kept[table][key] for key in values} == values
        else:
            assert kept[table] == values


def test_what_recipes_stand_for() -> None:
    assert recipe_names() == ["cot", "fireact", "kang", "sad", "token-kl"]
    assert load_recipe("cot").methods == {"reasoning": 1.0}
    assert load_recipe("kang").mistakes == "learned"
    assert load_recipe("sad").loss.teacher
    assert load_recipe("token-kl").loss.act == "kl"
    assert {name for name in recipe_names() if load_recipe(name).loss.normalise == "token"} == {
        *("cot", "fireact", "kang", "token-kl")
    }


def test_values_are_changed_one_by_one() -> None:
    changes = {
        "optimisation.learning_rate": "1e-4",
        "optimisation.batch": "16",
        "loss.act": "kl",
        "loss.alpha_end": "none",
        "loss.projection": "true",
        "curriculum.order": '"paced"',
        "filters.most_steps": "4",
        "adapter": "{rank = 8, dropout = 0.1}",
        "methods": "{acts = 2.0}",
        "summary": "a text that is no TOML",
    }
    recipe = load_recipe("sad", changes)
    assert (recipe.optimisation.learning_rate, recipe.optimisation.batch) == (1e-4, 16)
    assert (recipe.loss.act, recipe.loss.alpha_end, recipe.loss.projection) == ("kl", None, True)
    assert (recipe.curriculum.order, recipe.filters.most_steps) == ("paced", 4)
    assert recipe.adapter == Adapter(rank=8, dropout=0.1)
    assert recipe.methods == {"acts": 2.0}
    assert recipe.summary == "a text that is no TOML"
    assert load_recipe("sad", {"adapter": "none"}).adapter is None
    rank = load_recipe("sad", {"adapter.rank": "2"}).adapter
    assert rank == Adapter(rank=2, alpha=128, dropout=0.05)
    assert load_recipe("sad") == load_recipe("sad", {})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nonsense": "1"}, "nonsense: Extra inputs are not permitted"),
        ({"loss.gamma": "1"}, "loss.gamma: Extra inputs are not permitted"),
        ({"optimisation.batch": "many"}, "optimisation.batch: Input should be a valid integer"),
        ({"optimisation.learning_rate": "-1"}, "optimisation.learning_rate: Input should be greater than 0"),
        ({"optimisation.learning_rate": "inf"}, "optimisation.learning_rate: Input should be a finite number"),
        ({"curriculum.reason": "nan"}, "curriculum.reason: Input should be a finite number"),
        ({"curriculum.strength": "inf"}, "curriculum.strength: Input should be a finite number"),
        ({"loss.teacher": "perhaps"}, "loss.teacher: Input should be a valid boolean"),
        ({"loss.act": "mse"}, "loss.act: Input should be 'cross-entropy' or 'kl'"),
        ({"loss": "5"}, "loss: Input should be a valid dictionary"),
        ({"loss": "none"}, "loss: Input should be a valid dictionary"),
        ({"adapter.rank": "0"}, "adapter.rank: Input should be greater than or equal to 1"),
        ({"methods.dreams": "1.0"}, "methods.dreams"),
        ({"summary.deep": "1"}, "--set summary.deep=1: 'summary' is no table of a recipe"),
        ({"adapter": "none", "adapter.rank": "3"}, "'adapter' is no table of a recipe"),
    ],
)
def test_a_change_that_fits_nothing_is_named(changes: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        load_recipe("sad", changes)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        load_recipe("sad", {"nonsense": "1", "loss.alpha": "x", "optimisation.warmup": "2", "curriculum.order": "odd"})
    for name in ("nonsense", "loss.alpha", "optimisation.warmup", "curriculum.order"):
        assert f"{name}: " in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss.normalise": "token", "loss.beta": "2.0"}, "alpha and beta must be equal"),
        ({"loss.normalise": "token", "loss.beta_end": "2.0"}, "alpha and beta must be equal"),
        ({"loss.normalise": "token", "loss.weights": "learned"}, "alpha and beta must be equal"),
        ({"loss.weights": "learned", "loss.alpha_end": "2.0"}, "takes no alpha_end and beta_end"),
        ({"loss.weights": "learned", "loss.projection": "true"}, "takes fixed weights"),
        ({"loss.weights": "learned", "loss.alpha": "20.0"}, "starts from alpha and beta between 0.1 and 10.0"),
        ({"loss.weights": "learned", "loss.beta": "0"}, "starts from alpha and beta between 0.1 and 10.0"),
        ({"curriculum.order": "paced", "methods": "{acts = 2.0, reasoning = 1.0}"}, "methods must have equal shares"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(changes: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=f"^the recipe 'sad' has faults: [lc].*{said}"):
        load_recipe("sad", changes)


def test_settings_that_go_together_are_taken() -> None:
    load_recipe("kang", {"loss.alpha": "2.0", "loss.beta": "2.0", "loss.alpha_end": "3.0", "loss.beta_end": "3.0"})
    load_recipe("sad", {"loss.weights": "learned", "loss.alpha": "0.5"})


def test_a_recipe_of_ones_own_is_a_file(tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    own.write_text('summary = "as I like it"\npaper = ""\n[loss]\nalpha = 2.0\n', encoding="utf-8")
    recipe = load_recipe(str(own), {"loss.beta": "3.0"})
    assert (recipe.name, recipe.loss.alpha, recipe.loss.beta) == ("mine", 2.0, 3.0)
    own.write_text("summary = ", encoding="utf-8")
    with pytest.raises(BadInput, match=r"mine\.toml' cannot be read: "):
        load_recipe(str(own))
    own.write_bytes(bytes(range(256)))
    with pytest.raises(BadInput, match=r"mine\.toml' cannot be read: "):
        load_recipe(str(own))
    own.write_text("", encoding="utf-8")
    with pytest.raises(BadInput, match="summary: Field required; paper: Field required"):
        load_recipe(str(own))
    with pytest.raises(
        NotFound, match=r"no recipe 'kangaroo'.*one of cot, fireact, kang, sad, token-kl, or a \.toml file"
    ):
        load_recipe("kangaroo")
    with pytest.raises(NotFound, match="no recipe"):
        load_recipe(str(tmp_path))
