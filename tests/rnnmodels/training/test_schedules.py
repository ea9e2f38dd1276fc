"""Learning-rate schedules."""

import pytest

from rnnmodels.config import Training
from rnnmodels.training.schedules import Schedule


def test_one_cycle_rises_to_the_peak_and_falls_to_nearly_nothing():
    schedule = Schedule(Training(learning_rate=1.0, warmup_share=0.25), num_steps=101)
    rates = [schedule.rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 25)
    assert max(rates) == rates[25] == pytest.approx(1.0)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert rates[-1] == pytest.approx(1e-4)


def test_the_only_step_of_a_schedule_has_its_peak_rate():
    assert Schedule(Training(learning_rate=1.0), num_steps=1).rate(0) == pytest.approx(1)


def test_plateau_halves_the_rate_after_an_epoch_without_progress():
    schedule = Schedule(Training(learning_rate=1.0, schedule="plateau"), num_steps=10)
    schedule.close_epoch(is_best=True)
    assert schedule.rate(5) == 1.0
    schedule.close_epoch(is_best=False)
    assert schedule.rate(6) == 0.5


def test_constant_stays():
    schedule = Schedule(Training(learning_rate=0.3, schedule="constant"), num_steps=10)
    schedule.close_epoch(is_best=False)
    assert {schedule.rate(step) for step in range(10)} == {0.3}


def test_deeper_layers_learn_slower_and_wait_for_their_turn():
    training = Training(layer_rate_factor=0.5, gradual_unfreezing=True)
    assert [training.rate_share(depth, 1) for depth in range(3)] == [1, 0, 0]
    assert [training.rate_share(depth, 2) for depth in range(3)] == [1, 0.5, 0]
    assert [training.rate_share(depth, 9) for depth in range(3)] == [1, 0.5, 0.25]
    assert [Training().rate_share(depth, 1) for depth in range(3)] == [1, 1, 1]
