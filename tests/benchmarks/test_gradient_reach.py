"""What `docs/gradients.md` says: where gradients vanish and explode, and that the effective horizon tracks the lag."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gradient_reach
from benchmarks.gradient_reach import CELLS, EQUALLY_LONG, TRIALS, Trial, run_trial
from tasks.reporting.plots import write_png

pytestmark = pytest.mark.costly


@pytest.fixture(scope="module")
def starts():
    return gradient_reach.measure_starts(num_steps=101)


def test_over_a_hundred_steps_gradients_vanish_with_torchs_start_and_do_not_with_ours(starts):
    reach = {key: norm[100] for key, norm in starts.items()}

    assert all(reach[cell, "torch's default"] < 1e-12 for cell in CELLS)
    assert all(reach[cell, "rnnflow"] > 1e-4 for cell in ("rnn", "lstm"))
    assert all(reach[cell, "rnnflow, longest_lag = 300"] > 1e-2 for cell in ("gru", "lstm"))


def test_the_size_of_the_recurrent_matrix_decides_between_vanishing_and_exploding():
    reach = [norm[100] for norm in gradient_reach.measure_scales().values()]

    assert all(smaller < larger for smaller, larger in pairwise(reach))
    assert reach[0] < 1e-20
    assert reach[-1] > 100


def test_clipping_keeps_a_descent_alive_that_explodes_without_it():
    clipped, free = (gradient_reach.descend(1.05, clip, num_updates=80) for clip in (1.0, math.inf))

    assert min(clipped) < 1
    assert not min(free[1:]) < 1
    assert np.nanmax(free) > 1e10


def test_the_pictures_are_drawn_and_small(starts, tmp_path: Path):
    outcome = run_trial(Trial("gru", 10), epochs=1, num_sequences=64)
    figures = {
        "start": gradient_reach.draw_starts(starts),
        "scale": gradient_reach.draw_scales({1.0: starts["rnn", "rnnflow"]}),
        "clipping": gradient_reach.draw_clipping({(1.0, 1.0): [2.0, 1.0], (1.0, math.inf): [2.0, math.nan]}),
        "trained": gradient_reach.draw_trained([outcome]),
    }

    assert gradient_reach.start_table(starts).count("\n") == 1 + len(starts)
    assert gradient_reach.trained_table([outcome]).endswith(f"{outcome.curve.horizon} |")
    for name, figure in figures.items():
        assert 5_000 < write_png(figure, tmp_path / f"{name}.png").stat().st_size < 150_000


def test_the_horizon_of_a_model_that_solves_the_task_tracks_the_lag_in_sequences_of_equal_length():
    near, far = (run_trial(Trial("lstm", lag, lead_in=24 - lag, longest_lag=0), epochs=6) for lag in (3, 12))

    assert min(near.accuracy, far.accuracy) > 0.85
    assert 3 <= near.curve.horizon < far.curve.horizon
    assert far.curve.horizon >= 10


def test_a_gru_and_an_lstm_remember_what_a_tanh_rnn_forgets():
    rnn, gru, lstm = (run_trial(Trial(cell, 50), epochs=3, num_sequences=1_200) for cell in CELLS)

    assert rnn.accuracy < 0.7 < min(gru.accuracy, lstm.accuracy)
    assert rnn.curve.horizon < 40 < min(gru.curve.horizon, lstm.curve.horizon)


@pytest.mark.slow
def test_the_horizon_tracks_lags_up_to_a_hundred_and_orders_the_cells():
    outcomes = {(trial.cell, trial.lag): run_trial(trial) for trial in TRIALS}
    horizons = {key: outcome.curve.horizon for key, outcome in outcomes.items()}

    for cell in ("gru", "lstm"):
        assert all(outcomes[cell, lag].accuracy > 0.85 for lag in (10, 30, 100))
        assert 10 <= horizons[cell, 10] < horizons[cell, 30] < horizons[cell, 100]
        assert horizons[cell, 100] > 90
    assert outcomes["rnn", 100].accuracy < 0.6
    assert horizons["rnn", 100] < min(horizons["gru", 100], horizons["lstm", 100])


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_horizon_is_not_that_of_the_length(cell: str):
    near, far = (run_trial(trial, epochs=8) for trial in EQUALLY_LONG if trial.cell == cell)

    assert 10 <= near.curve.horizon < far.curve.horizon < far.trial.length
