from itertools import product
from pathlib import Path

import pytest
import torch

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from rnnmodels.forecasters.forecaster import SequenceForecaster
from rnnmodels.forecasters.warm_start import start_from
from rnnmodels.forecasters.windows import WindowShape
from rnnmodels.training.checkpoint import save_model

SHAPE = WindowShape(look_back=6, horizon=4, num_channels=3, num_covariates=2)
NETWORKS = list(product(["segment", "direct", "pointwise"], ["independent", "joint"], ["point", "student-t"]))


def build(
    shape: WindowShape = SHAPE,
    *,
    seed: int = 2,
    decoder="segment",
    channels="joint",
    output="point",
    **settings: object,
) -> SequenceForecaster:
    architecture = ForecastArchitecture(
        hidden_size=4, segment_length=3, decoder=decoder, channels=channels, output=output, line_views=(), **settings
    )
    return SequenceForecaster(architecture, shape, seed=seed).eval()


def saved(folder: Path, shape: WindowShape = SHAPE, **settings: object) -> SequenceForecaster:
    """A forecaster none of whose weights is zero."""
    model = build(shape, seed=1, **settings)
    for weights in model.parameters():
        torch.nn.init.uniform_(weights, -0.5, 0.5)
    save_model(model, folder)
    return model


def draw(shape: WindowShape = SHAPE) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(5, shape.look_back, shape.num_channels), torch.randn(5, shape.num_steps, shape.num_covariates)


@pytest.mark.parametrize(("decoder", "channels", "output"), NETWORKS)
def test_channels_and_covariates_in_another_order_are_forecast_as_they_were(
    tmp_path: Path, decoder: str, channels: str, output: str
):
    named = {"decoder": decoder, "channels": channels, "output": output}
    earlier, model = saved(tmp_path, **named), build(**named)
    order, known = [2, 0, 1], [1, 0]

    assert start_from(model, tmp_path, channel_ids=order, covariate_ids=known) == ""

    history_BLC, covariates_BTD = draw()
    now, then = model(history_BLC[..., order], covariates_BTD[..., known]), earlier(history_BLC, covariates_BTD)
    assert torch.allclose(now.location, then.location[..., order], atol=1e-6)
    assert torch.allclose(now.widths, then.widths[..., order, :], atol=1e-6)
    assert torch.allclose(model.output.quantiles(now), earlier.output.quantiles(then)[..., order, :], atol=1e-5)


@pytest.mark.parametrize(("decoder", "channels", "output"), NETWORKS)
def test_channels_and_covariates_come_and_go(tmp_path: Path, decoder: str, channels: str, output: str):
    """A value and a covariate of 0 count for nothing, so those that went did not matter and new ones do not yet."""
    named = {"decoder": decoder, "channels": channels, "output": output, "normalization": "none"}
    earlier = saved(tmp_path, **named)
    now_shape = WindowShape(look_back=6, horizon=4, num_channels=2, num_covariates=3)
    model = build(now_shape, **named)

    assert start_from(model, tmp_path, channel_ids=[1, -1], covariate_ids=[-1, 1, -1]) == ""

    history_BLC, covariates_BTD = draw()
    history_BLC[..., [0, 2]] = 0
    covariates_BTD[..., 0] = 0
    now_BLC, now_BTD = torch.zeros(5, 6, 2), torch.zeros(5, 10, 3)
    now_BLC[..., 0], now_BTD[..., 1] = history_BLC[..., 1], covariates_BTD[..., 1]
    if channels == "joint" and decoder == "pointwise":  # reads its own forecasts of channels that are gone
        return
    now, then = model(now_BLC, now_BTD), earlier(history_BLC, covariates_BTD)
    assert torch.allclose(now.location[..., 0], then.location[..., 1], atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "settings", "difference"),
    [
        (SHAPE, {"hidden_size": 8}, "hidden_size = 4, not 8"),
        (SHAPE, {"head_dropout": 0.4, "teacher_forcing": 0.1}, ""),
        (WindowShape(9, 4, 3, 2), {}, "windows with look_back = 6, not 9"),
        (WindowShape(6, 5, 3, 2), {}, "windows with horizon = 4, not 5"),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(
    tmp_path: Path, shape: WindowShape, settings: dict, difference: str
):
    saved(tmp_path)
    architecture = build().architecture.model_copy(update=settings)
    model = SequenceForecaster(architecture, shape, seed=2)
    fresh = {name: weight.clone() for name, weight in model.state_dict().items()}

    assert start_from(model, tmp_path, channel_ids=range(3), covariate_ids=range(2)) == difference
    assert all(torch.equal(weight, fresh[name]) for name, weight in model.state_dict().items()) == bool(difference)


def test_one_channel_is_not_told_apart_from_others_and_so_is_another_network(tmp_path: Path):
    saved(tmp_path, WindowShape(6, 4, 1), channels="independent")
    model = build(WindowShape(6, 4, 2), channels="independent")

    difference = start_from(model, tmp_path, channel_ids=[0, -1], covariate_ids=[])

    assert difference == "1 channel(s), not 2: one alone has no embedding"
    free = {"channels": "independent", "channel_embedding": False}
    saved(tmp_path, WindowShape(6, 4, 1), **free)
    assert start_from(build(WindowShape(6, 4, 2), **free), tmp_path, channel_ids=[0, -1], covariate_ids=[]) == ""


def test_the_line_stays_as_it_was_fitted(tmp_path: Path):
    lined = ForecastArchitecture(hidden_size=4, segment_length=3)
    earlier = SequenceForecaster(lined, SHAPE, seed=1)
    earlier.line_LH.fill_(3)
    earlier.recurrent_weight.fill_(0)
    save_model(earlier, tmp_path)
    model = SequenceForecaster(lined, SHAPE, seed=2)

    assert start_from(model, tmp_path, channel_ids=range(3), covariate_ids=range(2)) == ""
    assert not model.line_LH.any()
    assert model.recurrent_weight == 1
