"""The forecaster as a whole: the line it starts from, what it may read, how it learns."""

import itertools
import re

import numpy as np
import pytest
import torch

from rnnmodels.forecasters.forecast_config import ForecastArchitecture, ForecastTraining
from rnnmodels.forecasters.forecaster import SequenceForecaster
from rnnmodels.forecasters.line import build_views, fit_channel_lines, fit_line
from rnnmodels.forecasters.ridge import fit_ridge
from rnnmodels.forecasters.windows import WindowBatch, WindowShape
from rnnmodels.training.checkpoint import load_model, save_model
from rnnmodels.training.fitting import fit
from rnnmodels.training.results import EpochResult

LOOK_BACK, HORIZON, CHANNELS = 8, 6, 2
DECODERS, CELLS = ("segment", "direct", "pointwise"), ("rnn", "gru", "lstm")
SMALL = {"hidden_size": 8, "segment_length": 4, "head_dropout": 0.0}


def build(*, num_covariates=0, seed=1, **architecture):
    shape = WindowShape(LOOK_BACK, HORIZON, CHANNELS, num_covariates)
    return SequenceForecaster(ForecastArchitecture(**SMALL | architecture), shape, seed=seed)


def random_batch(num_windows=5, num_covariates=0, seed=0):
    generator = np.random.default_rng(seed)
    steps = {"history": LOOK_BACK, "future": HORIZON, "covariates": LOOK_BACK + HORIZON}
    widths = {"history": CHANNELS, "future": CHANNELS, "covariates": num_covariates}
    arrays = {
        name: generator.normal(size=(num_windows, steps[name], widths[name])).astype(np.float32) for name in steps
    }
    return WindowBatch(np.arange(num_windows), **arrays)


def forecast_of(model, batch):
    return model.eval()(torch.from_numpy(batch.history), torch.from_numpy(batch.covariates))


def take_steps(model, batch, num_steps=1, rate=0.02, **training):
    """Train, so that the output layer is not zero any more."""
    optimizer = torch.optim.Adam(model.train().parameters(), lr=rate)
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss = model.loss(batch, ForecastTraining(**training))
        loss.backward()
        optimizer.step()
    return loss.item()


def open_arcs(make_windows):
    """Windows over half waves that all point upwards, which no line continues."""
    series = np.abs(np.sin(np.arange(700)[:, None] / np.array([5.0, 7.0])))
    sizes = {"look_back": LOOK_BACK, "horizon": HORIZON}
    return make_windows([series[:500]], name="train", **sizes), make_windows([series[500:]], name="valid", **sizes)


def train_on(train, valid, training, *, stop_after=None, **options):
    """Fit a new forecaster, or stop after so many epochs as a kill would."""
    model = build(hidden_size=16, head_dropout=0.05, members=2)
    model.prepare(train, valid)
    for result in fit(model, train, valid, training, **options):
        if isinstance(result, EpochResult) and result.epoch == stop_after:
            break
    return model


@pytest.fixture
def waves(make_windows):
    """A function that opens windows over noisy waves with a level; the splits follow one another."""

    def make(*, num_covariates=0):
        step = np.arange(400)[:, None]
        noise = np.random.default_rng(0).normal(size=(400, CHANNELS + num_covariates))
        series = np.sin(step / 4 + np.arange(CHANNELS + num_covariates)) + 0.2 * noise
        return [
            make_windows([part], name=name, num_covariates=num_covariates, look_back=LOOK_BACK, horizon=HORIZON)
            for name, part in (("train", series[:250]), ("valid", series[250:]))
        ]

    return make


@pytest.mark.parametrize(("num_covariates", "channels"), [(0, "independent"), (3, "independent"), (2, "joint")])
@pytest.mark.parametrize("output", ["point", "quantiles", "gaussian", "student-t"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_forecasts_have_a_value_per_step_and_channel_and_every_weight_learns(
    decoder, cell, output, num_covariates, channels
):
    model = build(decoder=decoder, cell=cell, output=output, num_covariates=num_covariates, channels=channels)
    batch = random_batch(num_covariates=num_covariates)
    take_steps(model, batch)
    for _ in range(4):  # both ways of decoding step by step
        model.loss(batch, ForecastTraining()).backward()
    assert [name for name, weight in model.named_parameters() if not weight.grad.abs().sum() > 0] == []
    forecast = forecast_of(model, batch)
    assert forecast.location.shape == (5, HORIZON, CHANNELS)
    num_levels = len(model.architecture.forecast_levels)
    assert model.output.quantiles(forecast).shape == (5, HORIZON, CHANNELS, num_levels)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    before = torch.get_rng_state()
    first, second, other = build(seed=4), build(seed=4), build(seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    for name, weight in first.named_parameters():
        assert torch.equal(weight, second.get_parameter(name))
    assert not torch.equal(first.members[0].token.weight, other.members[0].token.weight)


@pytest.mark.numeric
@pytest.mark.parametrize("normalization", ["last", "last-scaled", "mean", "instance", "none"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_before_training_the_forecast_is_exactly_the_line(waves, decoder, normalization):
    train, valid = waves()
    model = build(decoder=decoder, normalization=normalization)
    chosen = model.prepare(train, valid)
    ridge = fit_ridge(train, valid, model.architecture.ridge_penalties)
    batch = valid.take(np.arange(20))
    forecast = forecast_of(model, batch)
    assert torch.equal(forecast.location, forecast.base)
    np.testing.assert_allclose(forecast.location.detach(), ridge.forecast(batch.history), atol=1e-5)
    assert chosen == {"ridge_penalty_steps": ridge.penalty, "ridge_valid_mse": pytest.approx(ridge.valid_mse)}


@pytest.mark.parametrize("num_blocks", [0, 3])
def test_before_training_the_forecast_is_the_mean_line_of_all_views(waves, num_blocks):
    train, valid = waves()
    views = {"line_views": ("steps", "profiles"), "line_look_back": 5, "profile_length": 3}
    model = build(**views, ridge_blocks=num_blocks, members=2)
    chosen = model.prepare(train, valid)
    penalties, views = model.architecture.ridge_penalties, build_views(model.architecture, LOOK_BACK)
    line = fit_line(train, valid, penalties, views, num_blocks)
    batch = valid.take(np.arange(20))
    last = batch.history[:, -1:]
    expected = np.einsum("blc,lh->bhc", batch.history - last, line.weights) + last
    np.testing.assert_allclose(forecast_of(model, batch).location.detach(), expected, atol=1e-5)
    penalties = {f"ridge_penalty_{view}": penalty for view, penalty in line.penalties.items()}
    assert chosen == {**penalties, "ridge_valid_mse": line.valid_mse}


def test_each_channel_adds_its_own_line_to_that_of_all(waves):
    train, valid = waves()
    model = build(channel_steps=5, channel_penalty=0.3)
    chosen = model.prepare(train, valid)
    line = fit_ridge(train, valid, model.architecture.ridge_penalties)
    own = fit_channel_lines(train, valid, line.weights, 5, 0.3)
    batch = valid.take(np.arange(20))
    recent = batch.history[:, -5:] - batch.history[:, -1:]
    expected = line.forecast(batch.history) + np.einsum("bnc,cnh->bhc", recent, own.weights)
    np.testing.assert_allclose(forecast_of(model, batch).location.detach(), expected, atol=1e-5)
    assert chosen["channel_valid_mse"] == own.valid_mse < chosen["ridge_valid_mse"]
    again = SequenceForecaster.from_description(model.description())
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(forecast_of(again, batch).location, forecast_of(model, batch).location)


def test_without_a_line_channels_have_none_either():
    assert "channel_line_CNH" not in build(line_views=(), channel_steps=5).state_dict()


def test_the_recurrent_part_adds_to_a_share_of_the_line_and_counts_less_with_every_step_ahead(waves):
    settings = {"decoder": "direct", "normalization": "last-scaled"}
    model = build(**settings, line_share=0.25, lead_decay=3.0)
    network = build(**settings, line_views=())
    model.prepare(*waves())
    batch = random_batch()
    take_steps(model, batch, num_steps=3)
    network.members.load_state_dict(model.members.state_dict())
    last = batch.history[:, -1:]
    line = forecast_of(model, batch).base.detach().numpy() - last
    numbers = forecast_of(network, batch).location.detach().numpy() - last
    lead = np.exp(-np.arange(HORIZON) / 3)[:, None]
    expected = last + (1 - 0.75 * lead) * line + lead * numbers
    np.testing.assert_allclose(forecast_of(model, batch).location.detach(), expected, atol=1e-5)


def test_a_scaled_network_sees_a_window_without_its_level_and_deviation():
    model, batch = build(line_views=(), normalization="last-scaled"), random_batch()
    seen = []
    model.members[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].values[..., 0]))
    forecast_of(model, batch)
    scaled = (batch.history - batch.history[:, -1:]) / (batch.history.std(axis=1, keepdims=True) + 0.1)
    np.testing.assert_allclose(seen[0], scaled.transpose(1, 0, 2).reshape(LOOK_BACK, -1), atol=1e-5)


def test_each_member_starts_from_the_seed_and_its_own_number():
    three, one, other = build(members=3), build(), build(members=3, seed=2)
    tokens = [model.members[0].token.weight for model in (three, one)]
    assert torch.equal(*tokens)
    starts = [member.token.weight for model in (three, other) for member in model.members]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(starts, 2))


def test_members_learn_each_from_a_forecast_of_its_own():
    together, batch = build(members=2), random_batch()
    take_steps(together, batch)
    loss = together.train().loss(batch, ForecastTraining())
    together.zero_grad()
    loss.backward()
    losses = []
    for member in together.members:
        alone = build()
        alone.members[0].load_state_dict(member.state_dict())
        losses.append(alone.train().loss(batch, ForecastTraining()))
        losses[-1].backward()
        for name, weight in member.named_parameters():
            torch.testing.assert_close(weight.grad, alone.members[0].get_parameter(name).grad / 2)
    assert loss.item() == pytest.approx(sum(one.item() for one in losses) / 2)
    assert losses[0].item() != losses[1].item()


@pytest.mark.parametrize("output", ["quantiles", "gaussian", "student-t"])
def test_forecasts_and_quantiles_of_members_are_averaged(output):
    model, batch = build(members=3, output=output), random_batch()
    take_steps(model, batch, num_steps=3)
    together = forecast_of(model, batch)
    members = model.compose_members(torch.from_numpy(batch.history), torch.from_numpy(batch.covariates))
    assert not torch.allclose(members[0].location, members[1].location, atol=1e-3)
    locations = torch.stack([member.location for member in members])
    quantiles = torch.stack([model.output.quantiles(member) for member in members])
    torch.testing.assert_close(together.location, locations.mean(dim=0))
    torch.testing.assert_close(model.output.quantiles(together), quantiles.mean(dim=0))


@pytest.mark.parametrize(("normalization", "level"), [("last", -1), ("mean", slice(None)), ("none", None)])
def test_without_a_line_the_forecast_starts_from_the_level(waves, normalization, level):
    model, batch = build(normalization=normalization, line_views=()), random_batch()
    assert model.prepare(*waves()) == {}
    expected = np.zeros((5, CHANNELS)) if level is None else batch.history[:, level].reshape(5, -1, CHANNELS).mean(1)
    np.testing.assert_allclose(forecast_of(model, batch).location[:, 3].detach(), expected, atol=1e-6)


@pytest.mark.numeric
@pytest.mark.parametrize("decoder", DECODERS)
def test_true_values_of_the_future_never_reach_a_forecast_but_known_covariates_do(decoder):
    model, batch = build(decoder=decoder, num_covariates=2), random_batch(num_covariates=2)
    take_steps(model, batch, num_steps=3)
    before = forecast_of(model, batch).location
    (composed,) = model.compose_members(
        torch.from_numpy(batch.history), torch.from_numpy(batch.covariates), future_BHC=torch.ones(5, HORIZON, CHANNELS)
    )
    assert torch.equal(composed.location, before)
    batch.covariates[:, -1] += 1
    after = forecast_of(model, batch).location
    assert not torch.equal(after[:, -1], before[:, -1])
    batch.history[0] += np.arange(LOOK_BACK, dtype=np.float32)[:, None]
    assert not torch.equal(forecast_of(model, batch).location[0], after[0])


@pytest.mark.numeric
def test_step_by_step_a_later_forecast_cannot_change_an_earlier_one():
    model, batch = build(decoder="pointwise", num_covariates=2), random_batch(num_covariates=2)
    take_steps(model, batch, num_steps=3)
    before = forecast_of(model, batch).location
    batch.covariates[:, LOOK_BACK + 3] += 1
    after = forecast_of(model, batch).location
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.equal(before[:, 3:], after[:, 3:])


@pytest.mark.numeric
def test_teacher_forcing_reads_the_truth_before_a_step_and_only_while_training():
    model, batch = build(decoder="pointwise", teacher_forcing=1.0), random_batch()
    take_steps(model, batch, num_steps=3)
    inputs = torch.from_numpy(batch.history), torch.from_numpy(batch.covariates)
    truth = torch.from_numpy(batch.future)
    changed = truth.clone()
    changed[:, 2] += 1
    forced, other = (
        model.train().compose_members(*inputs, future_BHC=future)[0].location for future in (truth, changed)
    )
    assert torch.equal(forced[:, :3], other[:, :3])
    assert not torch.equal(forced[:, 3:], other[:, 3:])
    unforced = model.eval().compose_members(*inputs, future_BHC=changed)[0].location
    assert torch.equal(unforced, model.compose(*inputs).location)


@pytest.mark.parametrize("settings", [{}, {"members": 2, "normalization": "last-scaled", "channel_embedding": False}])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_window_alone_is_forecast_as_among_others(decoder, cell, settings):
    model, batch = build(decoder=decoder, cell=cell, output="quantiles", num_layers=2, **settings), random_batch(33)
    take_steps(model, batch)
    together = forecast_of(model, batch)
    for window in (0, 17, 32):
        part = WindowBatch(*(getattr(batch, name)[[window]] for name in ("row", "history", "future", "covariates")))
        alone = forecast_of(model, part)
        torch.testing.assert_close(alone.location[0], together.location[window], atol=1e-5, rtol=0)
        torch.testing.assert_close(alone.widths[0], together.widths[window], atol=1e-5, rtol=0)


def test_a_moved_and_stretched_history_moves_and_stretches_its_forecast(waves):
    model, batch = build(normalization="instance"), random_batch()
    model.prepare(*waves())
    take_steps(model, batch, num_steps=3)
    before = forecast_of(model, batch).location
    moved = WindowBatch(batch.row, 3 * batch.history + 10, batch.future, batch.covariates)
    torch.testing.assert_close(forecast_of(model, moved).location, 3 * before + 10, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("decoder", "channels"), [("segment", "independent"), ("direct", "joint"), ("pointwise", "joint")]
)
def test_one_batch_is_overfitted(decoder, channels):
    model, batch = build(decoder=decoder, channels=channels, hidden_size=32, teacher_forcing=0.0), random_batch(3)
    first = model.loss(batch, ForecastTraining(loss="l2")).item()
    last = take_steps(model, batch, num_steps=150, loss="l2")
    assert last < 0.05 * first


def test_only_the_recurrent_layers_change_their_arithmetic():
    model, batch = build(cell="lstm"), random_batch()
    take_steps(model, batch, num_steps=3)
    exact = forecast_of(model, batch)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = forecast_of(model, batch)
        loss = model.loss(batch, ForecastTraining())
    assert rounded.location.dtype == loss.dtype == torch.float32
    assert torch.equal(rounded.base, exact.base)
    assert 0 < (rounded.location - exact.location).abs().max() < 0.02


@pytest.mark.parametrize("decoder", DECODERS)
def test_without_a_share_of_the_line_the_recurrent_part_learns_as_if_there_were_none(waves, decoder):
    batch = random_batch()
    beside, alone = (
        build(decoder=decoder, teacher_forcing=0.0, line_share=0.0, line_views=views) for views in (("steps",), ())
    )
    beside.prepare(*waves())
    for model in (beside, alone):
        take_steps(model, batch, num_steps=3)
    line, expected = forecast_of(beside, batch).base, forecast_of(alone, batch)
    assert (line - expected.base).abs().max() > 0.1
    torch.testing.assert_close(forecast_of(beside, batch).location, expected.location, atol=1e-4, rtol=1e-4)
    beside.recurrent_weight.fill_(0.25)
    mixed = 0.75 * line + 0.25 * expected.location
    torch.testing.assert_close(forecast_of(beside, batch).location, mixed, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("selection", ["loss", "mse", "mae"])
def test_on_validation_the_sum_is_never_worse_than_the_line(waves, selection):
    train, valid = waves()
    training = ForecastTraining(selection=selection)
    model = build()
    model.prepare(train, valid)
    line = model.validate(valid, training).loss
    take_steps(model, random_batch(), num_steps=30, rate=0.1)  # pure noise to learn
    batch = valid.take(np.arange(20))
    worse = model.compose(torch.from_numpy(batch.history), torch.from_numpy(batch.covariates))
    assert (worse.location - worse.base).abs().mean() > 0.1
    assert model.finish(valid, training) == {"recurrent_weight": 0.0}
    assert model.validate(valid, training).loss == pytest.approx(line)
    assert torch.equal(forecast_of(model, batch).location, forecast_of(model, batch).base)


def test_the_weight_is_the_best_of_all_between_the_line_and_the_full_recurrent_part(make_windows):
    train, valid = open_arcs(make_windows)
    training = ForecastTraining(epochs=2, learning_rate=0.01, loss="l2", device="cpu")
    model = train_on(train, valid, training)
    weight = model.finish(valid, training)["recurrent_weight"]
    batch = valid.take(np.arange(valid.num_rows))
    errors = {}
    for index in range(11):
        model.recurrent_weight.fill_(index / 10)
        error = forecast_of(model, batch).location - torch.from_numpy(batch.future)
        errors[index / 10] = error.square().mean().item()
    assert weight == min(errors, key=errors.get) > 0
    assert model.validate(valid, training).loss == pytest.approx(errors[weight], rel=1e-4)


def test_validation_measures_what_numpy_does(waves):
    _, valid = waves()
    model, batch = build(line_views=(), output="quantiles"), valid.take(np.arange(valid.num_rows))
    error = np.repeat(batch.history[:, -1:], HORIZON, axis=1) - batch.future
    validation = model.validate(valid, ForecastTraining(batch_windows=7, selection="mae"))
    assert validation.metrics == pytest.approx(
        {"mse": np.mean(error**2), "mae": np.mean(np.abs(error)), "recurrent_weight": 1.0}, rel=1e-4
    )
    assert validation.loss == validation.metrics["mae"]


@pytest.mark.numeric
def test_a_saved_forecaster_comes_back_with_line_and_weight(waves, tmp_path):
    train, valid = waves()
    model = build(output="student-t", decoder="direct", cell="lstm", members=2, lead_decay=5.0, line_share=0.5)
    model.prepare(train, valid)
    take_steps(model, random_batch(), num_steps=2)
    model.recurrent_weight.fill_(0.3)
    save_model(model, tmp_path)
    loaded = load_model(SequenceForecaster, tmp_path)
    expected, actual = forecast_of(model, random_batch()), forecast_of(loaded, random_batch())
    assert torch.equal(expected.location, actual.location)
    assert torch.equal(model.output.quantiles(expected), loaded.output.quantiles(actual))


@pytest.mark.numeric
def test_training_beats_the_line_and_goes_on_bit_by_bit_after_an_interruption(make_windows, tmp_path):
    train, valid = open_arcs(make_windows)
    training = ForecastTraining(epochs=8, learning_rate=0.02, batch_windows=32, device="cpu", ema_decay=0.9)
    whole = train_on(train.sampled(256), valid, training)
    train_on(train.sampled(256), valid, training, stop_after=2, checkpoints=tmp_path)
    resumed = train_on(train.sampled(256), valid, training, checkpoints=tmp_path, resume=True)
    for name, weight in whole.named_parameters():
        assert torch.equal(weight, resumed.get_parameter(name))
    line = whole.prepare(train, valid)["ridge_valid_mse"]
    assert whole.validate(valid, training).metrics["mse"] < 0.5 * line


def test_windows_of_another_shape_and_rows_that_are_not_finite_are_refused(make_windows, waves):
    _, valid = waves()
    build().check(valid)
    message = (
        f"{valid.path}: got windows of WindowShape(look_back=8, horizon=6, num_channels=2, num_covariates=0), "
        "expected WindowShape(look_back=8, horizon=6, num_channels=2, num_covariates=1)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build(num_covariates=1).check(valid)
    damaged = make_windows([np.full((40, 2), np.nan)], name="damaged", look_back=LOOK_BACK, horizon=HORIZON)
    with pytest.raises(ValueError, match=r"^row 0: got value 0 = nan, expected a finite number$"):
        build().check(damaged)
