"""What makes a scheduled retraining train again: exactly the code and the libraries behind the recipe's own stages."""

from pathlib import Path

import pytest

from flows import trigger
from flows.recipes.recipe import load_recipe
from tasks.contract.recipe import Recipe
from tasks.kinds import BUILT_IN
from tasks.store import fingerprint

pytestmark = pytest.mark.costly

SHIPPED = ("reviews", "japanese-vowels", "etth1", "nab", "reviews-lm")
EVERY = set(BUILT_IN)
NUMBERS = {"classify-series", "forecast", "detect"}

# Which kinds' results a module shapes; one of each stage of each kind, and what kinds share.
READERS_OF = {
    **{f"tasks.kinds.classify.{name}": {"classify"} for name in ("ingest", "split", "encode", "classifier")},
    **{f"tasks.text.{name}": {"classify"} for name in ("ngram_model", "class_ratios", "served_model")},
    "tasks.text.tokenizers": {"classify", "language"},
    "tasks.stack": {"classify"},
    **{f"tasks.kinds.language.{name}": {"language"} for name in ("ingest", "split", "encode", "shard", "baseline")},
    **{f"tasks.kinds.language.{name}": {"language"} for name in ("evaluate", "register")},
    **{f"tasks.kinds.classify.{name}": {"classify"} for name in ("baseline", "stack", "evaluate", "register")},
    "tasks.kinds.classify.fit": {"classify"},
    **{f"tasks.kinds.classify_series.{name}": {"classify-series"} for name in ("ingest", "split", "encode")},
    **{f"tasks.kinds.classify_series.{name}": {"classify-series"} for name in ("fit", "baseline", "evaluate")},
    **{f"tasks.kinds.classify_series.{name}": {"classify-series"} for name in ("register", "classifier")},
    **{f"tasks.kinds.forecast.{name}": {"forecast"} for name in ("split", "shard", "baseline", "evaluate")},
    **{f"tasks.kinds.forecast.{name}": {"forecast"} for name in ("register", "forecaster")},
    **{f"tasks.kinds.detect.{name}": {"detect"} for name in ("ingest", "split", "encode", "shard", "fit")},
    **{f"tasks.kinds.detect.{name}": {"detect"} for name in ("baseline", "evaluate", "register")},
    "tasks.labelled.fit": {"classify", "classify-series"},
    "tasks.labelled.shard": {"classify", "classify-series"},
    "tasks.labelled.labeller": {"classify", "classify-series"},
    "tasks.labelled.metrics": {"classify", "classify-series"},
    "tasks.kinds.forecast.fit": {"forecast", "detect"},
    "tasks.panel.timestamps": NUMBERS,
    "tasks.panel.served_model": NUMBERS,
    "tasks.sources.reading_csv": EVERY,
    "rnnmodels.layers.pooling": {"classify", "classify-series", "language"},
    "rnnmodels.classifiers.classifier": {"classify", "classify-series"},
    "rnnmodels.forecasters.forecaster": {"forecast", "detect"},
    "rnnmodels.layers.cells": EVERY,
    "rnnmodels.training.fitting": EVERY,
    "tasks.fit": EVERY,
    "tasks.gate": set(),
    "tasks.promotion.decision": set(),
    "tasks.promotion.ledger": set(),
    "tasks.report": set(),
    "tasks.publish": set(),
    "tasks.tracking.dashboard": set(),
    "tasks.kinds.forecast.report": set(),
}
USERS_OF = {
    "polars": EVERY,
    "pyarrow": EVERY,
    "numpy": EVERY,
    "torch": EVERY,
    "safetensors": EVERY,
    "mlflow": EVERY,
    "scikit-learn": {"classify", "classify-series", "detect"},
    "scipy": EVERY,
    "tokenizers": {"classify", "language"},
    "matplotlib": set(),
    "jinja2": set(),
}


@pytest.fixture(scope="module")
def recipes() -> dict[str, Recipe]:
    loaded = [load_recipe(name) for name in SHIPPED]
    return {recipe.kind: recipe for recipe in loaded}


def triggers_of(recipes: dict[str, Recipe]) -> dict[str, str]:
    return {kind: trigger.trigger_of(recipe, "rows") for kind, recipe in recipes.items()}


def news_for(recipes: dict[str, Recipe], before: dict[str, str]) -> set[str]:
    return {kind for kind, now in triggers_of(recipes).items() if now != before[kind]}


@pytest.mark.parametrize("module", ["tasks/kinds/language/fit.py", "tasks/kinds/classify/pretrain.py"])
def test_code_of_language_models_is_news_where_candidates_start_from_one(module: str, monkeypatch: pytest.MonkeyPatch):
    fresh, pretrained = (
        load_recipe("reviews", settings=[f"candidates.lstm.pretrained={on}"]) for on in ("false", "true")
    )
    edited, read = Path(fingerprint.__file__).parents[2] / module, fingerprint._source_digest
    before = [trigger.trigger_of(recipe, "rows") for recipe in (fresh, pretrained)]
    monkeypatch.setattr(fingerprint, "_source_digest", lambda path: "edited" if path == edited else read(path))

    after = [trigger.trigger_of(recipe, "rows") for recipe in (fresh, pretrained)]

    assert [new != old for new, old in zip(after, before, strict=True)] == [False, True]


def test_edited_code_is_news_for_the_kinds_it_shapes_and_for_no_other(
    recipes: dict[str, Recipe], monkeypatch: pytest.MonkeyPatch
):
    before, read = triggers_of(recipes), fingerprint._source_digest
    root = Path(fingerprint.__file__).parents[2]
    news = {}
    for module in READERS_OF:
        edited = root / f"{module.replace('.', '/')}.py"
        assert edited.is_file(), edited
        monkeypatch.setattr(
            fingerprint, "_source_digest", lambda path, edited=edited: "edited" if path == edited else read(path)
        )
        news[module] = news_for(recipes, before)

    assert news == READERS_OF


def test_another_version_of_a_library_is_news_for_the_kinds_that_use_it(
    recipes: dict[str, Recipe], monkeypatch: pytest.MonkeyPatch
):
    assert set(USERS_OF) == set(fingerprint.SHAPING_LIBRARIES.values())
    before, installed = triggers_of(recipes), fingerprint._installed_version
    news = {}
    for library in USERS_OF:
        monkeypatch.setattr(
            fingerprint, "_installed_version", lambda name, new=library: "99" if name == new else installed(name)
        )
        news[library] = news_for(recipes, before)

    assert news == USERS_OF


def test_what_the_gate_asks_for_is_no_reason_to_train(recipes: dict[str, Recipe]):
    before = triggers_of(recipes)
    stricter = {
        kind: recipe.model_copy(update={"promotion": recipe.promotion.model_copy(update={"alpha": 0.01})})
        for kind, recipe in recipes.items()
    }

    assert triggers_of(stricter) == before
