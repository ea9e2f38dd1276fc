"""Outputs: quantiles and likelihoods are those of the textbooks, and quantiles never cross."""

import numpy as np
import pytest
import torch
from scipy import stats

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from rnnmodels.forecasters.forecast_outputs import Forecast, build_output, pinball_loss, student_quantiles

LEVELS = (0.1, 0.3, 0.5, 0.9)
GENERATOR = torch.Generator().manual_seed(0)
LOCATION, TARGET = torch.randn(2, 4, 5, 3, generator=GENERATOR)
SCALE = torch.rand(4, 5, 3, generator=GENERATOR) + 0.5


def output_of(kind, levels=LEVELS):
    return build_output(ForecastArchitecture(output=kind, quantile_levels=levels), num_channels=3)


def forecast_of(widths):
    return Forecast(LOCATION - 1, torch.ones_like(LOCATION), widths)


@pytest.mark.parametrize("levels", [LEVELS, (0.05, 0.2), (0.6, 0.95), (0.5,), tuple(np.linspace(0.01, 0.99, 99))])
@pytest.mark.parametrize("kind", ["quantiles", "gaussian", "student-t"])
def test_quantiles_rise_with_their_levels_whatever_a_network_says(kind, levels):
    output = output_of(kind, levels)
    raw = 50 * torch.randn(4, 5, 3, output.num_widths, generator=torch.Generator().manual_seed(1))
    quantiles = output.quantiles(forecast_of(output.widths(raw)))
    assert quantiles.shape == (4, 5, 3, len(levels))
    assert (quantiles.diff(dim=-1) > 0).all()


@pytest.mark.parametrize("kind", ["quantiles", "gaussian"])
def test_widths_start_from_the_standard_normal_distribution(kind):
    output = output_of(kind)
    widths = output.widths(torch.zeros(4, 5, 3, output.num_widths))
    expected = LOCATION.numpy()[..., None] + stats.norm.ppf(LEVELS)
    np.testing.assert_allclose(output.quantiles(forecast_of(widths)), expected, atol=5e-3)


def test_the_location_of_quantiles_is_their_median():
    output = output_of("quantiles")
    quantiles = output.quantiles(forecast_of(torch.rand(4, 5, 3, output.num_widths) + 0.1))
    torch.testing.assert_close(quantiles[..., LEVELS.index(0.5)], LOCATION)


def test_gaussian_likelihood_and_quantiles_are_those_of_scipy():
    output, distribution = output_of("gaussian"), stats.norm(LOCATION, SCALE)
    forecast = forecast_of(SCALE[..., None])
    np.testing.assert_allclose(output.loss(forecast, TARGET, "likelihood"), -distribution.logpdf(TARGET), rtol=1e-4)
    expected = np.stack([distribution.ppf(level) for level in LEVELS], axis=-1)
    np.testing.assert_allclose(output.quantiles(forecast), expected, atol=1e-5)


def test_student_likelihood_and_quantiles_are_those_of_scipy_per_channel():
    output = output_of("student-t")
    with torch.no_grad():
        output.raw_freedom_C.copy_(torch.tensor([-1.0, 2.0, 30.0]))
    freedom = output.freedom.detach().numpy()
    assert freedom.min() > 2
    distribution, forecast = stats.t(freedom, LOCATION, SCALE), forecast_of(SCALE[..., None])
    loss = output.loss(forecast, TARGET, "likelihood").detach()
    np.testing.assert_allclose(loss, -distribution.logpdf(TARGET), rtol=1e-4, atol=1e-5)
    expected = np.stack([distribution.ppf(level) for level in LEVELS], axis=-1)
    np.testing.assert_allclose(output.quantiles(forecast), expected, atol=1e-4)


def test_student_quantiles_hold_in_the_tails_and_for_nearly_normal_channels():
    freedom, levels = np.array([2.1, 5.0, 50.0, 1000.0]), np.array([0.001, 0.05, 0.5, 0.99, 0.999])
    expected = stats.t.ppf(levels, freedom[:, None])
    np.testing.assert_allclose(student_quantiles(freedom, levels), expected, rtol=2e-3, atol=1e-12)


def test_the_pinball_loss_of_the_median_is_the_absolute_error():
    loss = pinball_loss(LOCATION[..., None], TARGET, torch.tensor([0.5]))
    torch.testing.assert_close(loss, (TARGET - LOCATION).abs())


def test_the_pinball_loss_of_dense_quantiles_tends_to_the_crps():
    output = output_of("gaussian", tuple((np.arange(499) + 1) / 500))
    loss = output.loss(forecast_of(SCALE[..., None]), TARGET, "quantile").numpy()
    error = ((TARGET - LOCATION) / SCALE).numpy()
    crps = SCALE.numpy() * (error * (2 * stats.norm.cdf(error) - 1) + 2 * stats.norm.pdf(error) - 1 / np.sqrt(np.pi))
    np.testing.assert_allclose(loss, crps, rtol=0.01)


@pytest.mark.parametrize(("loss", "expected"), [("l1", [0.5, 3.0]), ("l2", [0.25, 9.0]), ("huber", [0.125, 2.5])])
def test_losses_of_a_point(loss, expected):
    target = torch.tensor([0.5, -3.0])[None, :, None]
    forecast = Forecast(torch.zeros_like(target), torch.zeros_like(target), torch.empty(1, 2, 1, 0))
    assert output_of("point").loss(forecast, target, loss).flatten().tolist() == expected


def test_weighting_scales_what_is_added_and_leaves_base_and_widths():
    forecast = forecast_of(SCALE[..., None]).weighted(0.25)
    torch.testing.assert_close(forecast.location, LOCATION - 0.75)
    assert forecast.widths.equal(SCALE[..., None])
