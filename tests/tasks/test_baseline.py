"""Baselines of every kind fit whatever candidates fit, or are left out: a comparison never ends a run."""

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.baseline import fit_baselines
from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.recipe import Recipe
from tasks.errors import InputError
from tasks.evaluate import evaluate
from tasks.kinds import find_kind
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.kinds.forecast import baseline as forecast_baseline
from tasks.reporting.findings import gather_findings
from tests.test_defaults import prepare, recipe_for, sequences, series

pytestmark = pytest.mark.costly

SMALL_WINDOWS = ["shard.look_back=6", "shard.horizon=2"]
SHAPES = ("constant", "line", "two levels", "noise", "still, then noise", "noise, then still", "spikes")
# A letter, words without spaces between them, marks that are no words, combined letters, an invisible one, words.
CELLS = ("a", "物流很快", "!!! ??", "ß-é e\N{COMBINING ACUTE ACCENT}", "\N{ZERO WIDTH SPACE}x", "the film", "1 2 3")
EXAMPLES = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


def shaped(shape: str, rows: int, scale: float) -> np.ndarray:
    """Values of a series that leaves a baseline little to learn from."""
    step, noise = np.arange(rows), np.random.default_rng(1).normal(size=rows)
    values = {
        "constant": np.ones(rows),
        "line": step * 1.0,
        "two levels": (step > rows // 2) * 1.0,
        "noise": noise,
        "still, then noise": np.where(step < rows // 2, 1.0, noise),
        "noise, then still": np.where(step < rows // 2, noise, 1.0),
        "spikes": (step % 29 == 0) * 1.0,
    }
    return values[shape] * scale


def fit_and_score(recipe: Recipe, lineage: Lineage) -> tuple[list[Scored], list[str]]:
    """Fit all baselines of a recipe: those that were fitted, scored, and what is said of the others."""
    kind = find_kind(recipe.kind)
    baselines = fit_baselines.fn(kind, lineage, recipe.baseline)
    scored = [
        Scored(model=one, evaluation=evaluate.fn(kind, one, lineage, recipe.evaluate)) for one in baselines.fitted
    ]
    return scored, [warning for one in baselines.left_out for warning in one.summary.get("warnings", [])]


@settings(max_examples=12, **EXAMPLES)
@given(
    kind=st.sampled_from(["forecast", "detect"]),
    shape=st.sampled_from(SHAPES),
    rows=st.integers(60, 200),
    scale=st.sampled_from([1.0, -1e-30, 1e27]),
)
def test_every_baseline_of_series_fits_whatever_the_values(tmp_path: Path, kind, shape, rows, scale):
    table = series(rows).with_columns(value=pl.Series(shaped(shape, rows, scale)))
    recipe = recipe_for(kind, table, form="csv", folder=tmp_path, remedies=SMALL_WINDOWS)

    scored, left_out = fit_and_score(recipe, prepare(recipe))
    assert (len(scored), left_out) == (3, [])


@settings(max_examples=8, **EXAMPLES)
@given(shapes=st.tuples(*[st.sampled_from(SHAPES)] * 2), scale=st.sampled_from([1.0, 1e27]))
def test_the_baseline_of_sequences_fits_whatever_the_values(tmp_path: Path, shapes, scale):
    table = sequences(12, longest=5)
    values = [shaped(shape, table.height, scale) for shape in shapes]
    table = table.with_columns(value_0=pl.when(pl.col("label") == 0).then(values[0]).otherwise(values[1]))
    table = table.with_columns(value_0=pl.col("value_0") + pl.col("id") * scale / 1000)  # no two sequences are equal
    recipe = recipe_for("classify-series", table, form="csv", folder=tmp_path, remedies=[])

    scored, left_out = fit_and_score(recipe, prepare(recipe))
    assert (len(scored), left_out) == (1, [])


@settings(max_examples=12, **EXAMPLES)
@given(cells=st.lists(st.sampled_from(CELLS), min_size=2, max_size=2), numbered=st.booleans(), least=st.integers(1, 50))
def test_the_baseline_of_texts_fits_whatever_the_texts(tmp_path: Path, cells, numbered, least):
    texts = [cells[row % 2] + (f" {row}" if numbered else chr(0x3400 + row)) for row in range(40)]
    table = pl.DataFrame({"text": texts, "label": [f"l{row % 2}" for row in range(40)]})
    settings = ["encode.min_count=1", "split.near_duplicates=false", f"baseline.min_count={least}"]
    recipe = recipe_for("classify", table, form="csv", folder=tmp_path, remedies=settings)

    scored, left_out = fit_and_score(recipe, prepare(recipe))
    assert (scored[0].name, left_out) == ("tfidf-logistic", [])


def test_one_that_cannot_be_fitted_is_left_out_with_a_warning_that_says_why(tmp_path: Path):
    table = series(150).with_columns(value=pl.lit(5.0))
    unpenalized = [*SMALL_WINDOWS, "baseline.ridge_penalties=[0]"]  # a constant determines no line
    recipe = recipe_for("forecast", table, form="csv", folder=tmp_path, remedies=unpenalized)

    scored, left_out = fit_and_score(recipe, prepare(recipe))
    assert len(scored) == 2
    assert left_out == [
        "the baseline ridge was left out, because it could not be fitted to these rows: Singular matrix"
    ]


@pytest.mark.parametrize(
    "error", [InputError("E-DATA-010", "none.", fix="add rows."), ValueError("one class"), MemoryError()]
)
def test_where_none_can_be_fitted_the_candidates_go_on_alone(
    reviews: tuple[Lineage, Contest], monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def fail(folder: Path, **_inputs: object) -> None:
        (folder / "predictions.parquet").write_bytes(b"half")
        raise error

    kind, (lineage, contest) = CLASSIFY, reviews
    monkeypatch.setattr(kind.baseline.load(), "BASELINES", {"tfidf-logistic": fail})
    settings = kind.recipe.model_fields["baseline"].default
    baselines = fit_baselines.fn(kind, lineage, settings)
    alone = dataclasses.replace(contest, baselines=(), left_out=baselines.left_out)

    assert baselines.fitted == ()
    assert fit_baselines.fn(kind, lineage, settings).left_out[0].cached
    assert not (baselines.left_out[0].path / "predictions.parquet").exists()
    assert (alone.baseline, alone.baseline_wins) == (None, False)
    assert gather_findings(lineage, alone).warnings[0].startswith("the baseline tfidf-logistic was left out")


def test_an_error_of_the_program_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    recipe = recipe_for("forecast", series(150), form="csv", folder=tmp_path, remedies=SMALL_WINDOWS)
    monkeypatch.setitem(forecast_baseline.BASELINES, "drift", lambda folder, **inputs: inputs["no such input"])

    with pytest.raises(KeyError, match="no such input"):
        fit_and_score(recipe, prepare(recipe))
