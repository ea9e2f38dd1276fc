"""Sequences that are made: what their labels depend on, and that a seed makes the same ones again."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from tasks.kinds.classify_series.source import SequenceSource
from tasks.sources.inputs import find_inputs
from tasks.sources.memory_tasks import LEAD_IN, SYMBOLS

LAG, NUM_SEQUENCES = 20, 2_000
CHANNELS = ["a", "b", "c", "d"]


def read_made(project: Path, name: str, **settings: object) -> pl.DataFrame:
    source = SequenceSource.model_validate({"dataset": name, "lag": LAG, "sequences": NUM_SEQUENCES, **settings})
    (file,) = find_inputs(source).files
    assert file.path.is_relative_to(project / "data" / "made")
    return pl.read_parquet(file.path)


def test_the_sum_of_two_marked_numbers_is_the_label_and_the_first_is_as_far_away_as_asked(project: Path):
    table = read_made(project, "adding")
    marked = table.filter(pl.col("marker") == 1).group_by("sequence", "label").agg("step", pl.col("number").sum())

    assert table.height == NUM_SEQUENCES * (LEAD_IN + LAG + 1)
    assert marked["step"].list.len().unique().to_list() == [2]
    assert marked["step"].list.min().unique().to_list() == [table["step"].max() - LAG]
    assert ((marked["number"] > 1) == (marked["label"] == "above 1")).all()


def test_guessing_is_right_in_half_of_the_cases_and_remembering_the_second_number_in_three_quarters(project: Path):
    table = read_made(project, "adding").filter(pl.col("marker") == 1)
    second = table.group_by("sequence", "label").agg(pl.col("number").sort_by("step").last())
    is_above = second["label"] == "above 1"

    assert is_above.mean() == pytest.approx(0.5, abs=0.05)
    assert ((second["number"] > 0.5) == is_above).mean() == pytest.approx(0.75, abs=0.05)


def test_the_symbol_at_the_cue_is_the_label(project: Path):
    table = read_made(project, "copy")
    cued = table.filter(pl.col("cue") == 1)
    symbol = np.array(list(SYMBOLS))[cued.select(CHANNELS).to_numpy().argmax(axis=1)]

    assert cued.height == NUM_SEQUENCES
    assert cued["step"].unique().to_list() == [table["step"].max() - LAG]
    assert (cued["label"].to_numpy() == symbol).all()
    assert (table.select(pl.sum_horizontal(CHANNELS)) == 1).to_series().all()
    assert all(0.2 < (cued["label"] == letter).mean() < 0.3 for letter in SYMBOLS)


def test_a_seed_makes_the_same_sequences_again_and_another_seed_others(project: Path):
    first = read_made(project, "copy")
    for file in (project / "data" / "made").iterdir():
        file.unlink()
    again, other = read_made(project, "copy"), read_made(project, "copy", seed=2)

    assert again.equals(first)
    assert not other.equals(first)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": "files", "path": "x.csv", "id_columns": "id", "lag": 3}, "lag only applies to adding and copy"),
        ({"dataset": "japanese-vowels", "seed": 3}, "seed only applies to adding and copy"),
        ({"dataset": "adding", "path": "x.csv"}, 'dataset "adding" is made, not read; remove path'),
        ({"dataset": "adding", "lag": 1}, "greater than or equal to 2"),
        ({"dataset": "copy", "value_columns": ["a"]}, 'dataset "copy" has a fixed layout; remove value_columns'),
    ],
)
def test_settings_that_have_no_effect_are_refused(settings: dict, message: str):
    with pytest.raises(ValidationError, match=message):
        SequenceSource.model_validate(settings)
