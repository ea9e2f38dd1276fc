"""The benchmark of unlabelled reviews compares what it says it compares, row by row."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from benchmarks import pretraining


def scores_of(num_right: int) -> np.ndarray:
    """Of 1,000 rows the first are classified rightly; each wrong one costs a nat."""
    is_right = np.arange(1_000) < num_right
    return np.stack([is_right, ~is_right]).astype(float)


@pytest.fixture
def curve() -> pretraining.Curve:
    """What each model scores with 2,000 labels: the pretrained network is right on 20 rows more than the other."""
    names = {name for pair in pretraining.GAINS for name in pair}
    return [(2_000, {name: scores_of(820 if name == pretraining.PRETRAINED else 800) for name in sorted(names)})]


def test_a_curve_has_the_accuracy_and_the_loss_of_each_model(curve: pretraining.Curve):
    header, _, row = pretraining.curve_table(curve).splitlines()

    found = dict(zip(header.split("|"), row.split("|"), strict=True))
    assert found[" labelled "] == " 2,000 "
    assert found[f" {pretraining.PRETRAINED} "] == " 82.0 (0.180) "
    assert found[f" {pretraining.FRESH} "] == " 80.0 (0.200) "


def test_gains_are_paired_by_row(curve: pretraining.Curve):
    *_, accuracy = pretraining.gain_table(curve, pretraining.describe_accuracy_gain).splitlines()
    *_, loss = pretraining.gain_table(curve, pretraining.describe_loss_gain).splitlines()

    # 20 of 1,000 rows differ, all in one direction: no resample shows a loss, as independent ones would.
    assert "+2.0 [+1.2, +2.9]" in accuracy
    assert "-0.020 [-0.029, -0.012]" in loss
    assert accuracy.count("+0.0 [+0.0, +0.0]") == len(pretraining.GAINS) - 1


def test_the_candidates_differ_in_their_language_models_alone(tmp_path: Path):
    pretrained, fresh = pretraining.make_recipe(2_000, 1, tmp_path / "reviews.parquet").candidates

    same = {"name": fresh.name, "pretrained": False, "ratio_columns": 0}
    assert pretrained.model_copy(update=same) == fresh


def test_an_archive_gives_the_test_rows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def divide_rows(recipe_name: str, *, from_file: str | None = None) -> SimpleNamespace:
        folder = tmp_path / recipe_name
        folder.mkdir()
        for part in ("train", "valid", "test"):
            rows = {"row": range(5), "text": [f"{recipe_name} {from_file} {part}"] * 5, "label": ["pos"] * 5}
            pl.DataFrame(rows).write_parquet(folder / f"{part}.parquet")
        return SimpleNamespace(file=lambda name: folder / name)

    monkeypatch.setattr(pretraining, "divide_rows", divide_rows)
    monkeypatch.setattr(pretraining, "MOST_TESTED", 3)

    table = pl.read_parquet(pretraining.write_table(2, tmp_path, "reviews.tar.gz"))

    counts = {(text, part): count for text, part, count in table.group_by("text", "part").len().iter_rows()}
    assert counts == {
        ("reviews None train", "train"): 2,
        ("reviews None train", "unlabelled"): 3,
        ("reviews None valid", "valid"): 5,
        ("imdb reviews.tar.gz test", "test"): 3,
    }
