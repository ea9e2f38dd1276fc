"""The windows shown are the best, the median and the worst, in original units."""

import numpy as np
import pytest

from rnnmodels.forecasters.windows import open_windows
from tasks.kinds.forecast.examples import Example, describe_example, rank_examples
from tasks.panel.scaler import Units


def test_single_channels_of_windows_are_ranked():
    errors = np.array([[3.0, 9.0], [1.0, 4.0], [0.5, 2.0]])

    assert rank_examples(errors) == [
        Example(rank="best", window=2, channel=0, mse=0.5),
        Example(rank="median", window=2, channel=1, mse=2.0),
        Example(rank="worst", window=0, channel=1, mse=9.0),
    ]


def test_an_example_holds_history_truth_and_quantiles_in_original_units(make_shards):
    values = np.stack([np.arange(10.0), 100 + np.arange(10.0)], axis=1)
    shards = make_shards({"train": [(0, 0, values)]}, look_back=5, horizon=2)
    windows = open_windows(shards.file("train.arrow"), look_back=5, horizon=2)
    outputs = np.zeros((4, 2, 2, 3), np.float32)
    outputs[3, :, 1] = [[1, 0, 2], [3, 2, 4]]
    units = Units(centre=np.array([[0.0, 1.0]]), scale=np.array([[1.0, 10.0]]))

    found = describe_example(
        Example(rank="worst", window=3, channel=1, mse=7.0), windows, outputs, units=units, names=["a", "b"]
    )

    # Two horizons of history at most; channel b is 10 times its scaled value, plus 1.
    assert found == {
        "window": 3,
        "channel": "b",
        "mse": 7.0,
        "history": [1041.0, 1051.0, 1061.0, 1071.0],
        "truth": [1081.0, 1091.0],
        "point": [11.0, 31.0],
        "quantiles": [[1.0, 21.0], [21.0, 41.0]],
    }


def test_of_one_window_every_rank_is_the_same():
    assert [(one.window, one.channel) for one in rank_examples(np.array([[2.0]]))] == [(0, 0)] * 3
    with pytest.raises(ValueError, match="empty sequence"):
        rank_examples(np.empty((0, 1)))
