"""Settings of forecasters: what fits together, and what is refused."""

import pytest
from pydantic import ValidationError

from rnnmodels.forecasters.forecast_config import LOSSES, ForecastArchitecture, ForecastTraining, resolve_loss


@pytest.mark.parametrize(
    ("output", "loss"),
    [("point", "l1"), ("quantiles", "quantile"), ("gaussian", "likelihood"), ("student-t", "likelihood")],
)
def test_each_output_has_a_loss_of_its_own(output, loss):
    assert resolve_loss(ForecastArchitecture(output=output), ForecastTraining()) == loss


@pytest.mark.parametrize("output", LOSSES)
@pytest.mark.parametrize("loss", ["l1", "l2", "huber", "quantile", "likelihood"])
def test_a_loss_that_the_output_cannot_be_trained_with_is_refused(output, loss):
    settings = ForecastArchitecture(output=output), ForecastTraining(loss=loss)
    if loss in LOSSES[output]:
        assert resolve_loss(*settings) == loss
    else:
        with pytest.raises(ValueError, match=rf"^loss: got '{loss}', expected '.*' for the output '{output}'$"):
            resolve_loss(*settings)


@pytest.mark.parametrize("levels", [(0.5, 0.5), (0.9, 0.1)])
def test_levels_must_rise(levels):
    with pytest.raises(ValidationError, match=rf"quantile_levels: got \[{levels[0]}, {levels[1]}\], expected rising"):
        ForecastArchitecture(quantile_levels=levels)


def test_a_distribution_needs_levels_and_a_point_has_none():
    assert ForecastArchitecture(quantile_levels=()).forecast_levels == ()
    assert ForecastArchitecture(output="gaussian", quantile_levels=(0.1, 0.9)).forecast_levels == (0.1, 0.9)
    with pytest.raises(ValidationError, match="got none, expected at least one for the output 'gaussian'"):
        ForecastArchitecture(output="gaussian", quantile_levels=())


def test_a_line_has_each_view_once():
    with pytest.raises(ValidationError, match=r"line_views: got \['steps', 'steps'\], expected each view once"):
        ForecastArchitecture(line_views=("steps", "steps"))


def test_no_forecaster_reads_backwards():
    with pytest.raises(ValidationError, match="bidirectional\n  Input should be False"):
        ForecastArchitecture(bidirectional=True)


def test_the_unit_of_a_batch_is_windows():
    assert ForecastTraining(batch_windows=7).batch_size == 7
