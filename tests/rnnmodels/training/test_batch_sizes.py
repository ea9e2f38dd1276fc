"""The size of batches, where it is left to the number of training rows."""

import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnmodels.classifiers.batches import Batch, Shards
from rnnmodels.classifiers.series_config import SeriesTraining
from rnnmodels.config import Training
from rnnmodels.forecasters.forecast_config import ForecastTraining
from rnnmodels.training.fitting import fit


def shards_of(rows_of_width: dict[int, int]) -> Shards:
    """Rows of some widths, without content."""
    blocks = [
        Batch(np.arange(rows), np.zeros((rows, width), np.uint8), np.full(rows, width), np.zeros(rows, np.uint8))
        for width, rows in rows_of_width.items()
    ]
    return Shards((), tuple(blocks))


def windows_in(num_windows: int, size: int) -> int:
    return -(-num_windows // size)


@given(rows_of_width=st.dictionaries(st.integers(1, 400), st.integers(1, 2_000), min_size=1, max_size=16))
def test_an_epoch_has_thirty_updates_or_eight_rows_in_each_on_average(rows_of_width):
    shards = shards_of(rows_of_width)
    settled = Training().settle(shards.num_batches)

    updates, enough = shards.num_batches(settled.batch_size), min(30, shards.num_rows // 8)
    assert updates >= enough
    if settled.batch_size < 14_000:  # the largest size that does it
        assert shards.num_batches(settled.batch_size + 1) < max(1, enough)


@pytest.mark.parametrize(("num_windows", "size"), [(7, 64), (100, 8), (240, 8), (600, 20), (1_919, 63), (1_920, 64)])
def test_windows_are_counted_alike_up_to_the_size_for_many(num_windows, size):
    assert ForecastTraining().settle(partial(windows_in, num_windows)).batch_size in (size, size + 1)


@pytest.mark.parametrize(
    ("training", "size"), [(Training(), 14_000), (SeriesTraining(), 1_000), (ForecastTraining(), 64)]
)
def test_many_rows_are_trained_on_in_the_largest_batches(training, size):
    assert training.settle(partial(windows_in, 1_000_000_000)).batch_size == training.batch_size == size


def test_a_size_that_is_set_stays():
    assert Training(batch_tokens=9_999).settle(shards_of({20: 600}).num_batches).batch_tokens == 9_999


@pytest.mark.costly
def test_an_interrupted_fit_goes_on_with_the_size_that_it_began_with(make_model, make_shards, tmp_path):
    train, valid = make_shards("train", 300), make_shards("valid", 60, seed=1)
    training = Training(epochs=3, patience=3, device="cpu", precision="float32")
    whole = list(fit(make_model(), train, valid, training))
    begun = fit(make_model(), train, valid, training, checkpoints=tmp_path)
    list(itertools.takewhile(lambda result: not hasattr(result, "valid_loss"), begun))
    resumed = list(fit(make_model(), train, valid, training, checkpoints=tmp_path, resume=True))

    losses = [[result.train_loss for result in run if hasattr(result, "valid_loss")] for run in (whole, resumed)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 3
