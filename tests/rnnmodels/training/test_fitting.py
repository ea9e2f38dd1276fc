"""The generator `fit`: learning, stopping, resuming, guarding."""

import itertools

import pytest
import torch

from rnnmodels.classifiers.batches import Shards
from rnnmodels.classifiers.inference import predict_shards
from rnnmodels.config import Training
from rnnmodels.training import run_state
from rnnmodels.training.checkpoint import MismatchedCheckpointError
from rnnmodels.training.fitting import EpochResult, StepResult, fit
from rnnmodels.training.training_step import NonFiniteError, TrainingStep

pytestmark = pytest.mark.costly

FAST = {"epochs": 3, "batch_tokens": 256, "learning_rate": 0.02, "device": "cpu", "precision": "float32"}


@pytest.fixture
def data(make_shards):
    return make_shards("train", 300), make_shards("valid", 60, seed=1)


def epochs_of(results):
    return [result for result in results if isinstance(result, EpochResult)]


def weights_of(model):
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def are_equal(first, second):
    return all(torch.equal(weight, second[name]) for name, weight in first.items())


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_training_learns(make_model, data, cell):
    results = epochs_of(fit(make_model(cell=cell), *data, Training(**FAST | {"epochs": 6})))
    assert [result.epoch for result in results] == list(range(1, len(results) + 1))
    assert max(result.valid_metrics["accuracy"] for result in results) > 0.9
    assert results[-1].train_loss < results[0].train_loss


def test_the_model_ends_with_the_best_weights(make_model, data):
    model = make_model()
    results = epochs_of(fit(model, *data, Training(**FAST | {"learning_rate": 1.0, "patience": 3})))
    predictions = predict_shards(model, data[1], batch_steps=256)
    loss = torch.nn.functional.cross_entropy(
        torch.from_numpy(predictions.logits), torch.from_numpy(predictions.target.astype("int64"))
    )
    assert loss.item() == min(result.valid_loss for result in results)
    assert not model.training


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_the_same_seed_gives_the_same_run_whatever_else_draws_numbers(make_model, data, ema_decay):
    training = Training(**FAST, ema_decay=ema_decay)
    first, second = make_model(), make_model()
    expected = epochs_of(fit(first, *data, training))
    actual = []
    for result in fit(second, *data, training):
        torch.rand(5)
        actual.append(result)
    assert [result.valid_loss for result in epochs_of(actual)] == [result.valid_loss for result in expected]
    assert are_equal(weights_of(first), weights_of(second))


def test_another_seed_gives_another_run(make_model, data):
    first, second = make_model(), make_model()
    list(fit(first, *data, Training(**FAST, seed=1)))
    list(fit(second, *data, Training(**FAST, seed=2)))
    assert not are_equal(weights_of(first), weights_of(second))


def test_averaged_weights_are_what_is_validated_and_kept(make_model, data):
    training = Training(**FAST | {"epochs": 1}, ema_decay=0.999)
    averaged, plain = make_model(), make_model()
    (with_average,) = epochs_of(fit(averaged, *data, training))
    (without,) = epochs_of(fit(plain, *data, training.model_copy(update={"ema_decay": 0.0})))
    assert with_average.train_loss == without.train_loss
    assert with_average.valid_loss != without.valid_loss
    assert not are_equal(weights_of(averaged), weights_of(plain))


def test_training_stops_after_patience_epochs_without_a_lower_loss(make_model, data):
    training = Training(**FAST | {"epochs": 20, "learning_rate": 2.0, "schedule": "constant"}, patience=2)
    results = epochs_of(fit(make_model(), *data, training))
    assert len(results) < 20
    assert [result.is_best for result in results[-3:]] == [True, False, False]


def test_label_smoothing_raises_the_training_loss_floor(make_model, data):
    (plain,) = epochs_of(fit(make_model(), *data, Training(**FAST | {"epochs": 1})))
    (smooth,) = epochs_of(fit(make_model(), *data, Training(**FAST | {"epochs": 1}, label_smoothing=0.3)))
    assert smooth.train_loss != plain.train_loss


def test_steps_are_reported_when_due(make_model, data, monkeypatch):
    monkeypatch.setattr("rnnmodels.training.fitting.SECONDS_BETWEEN_STEP_RESULTS", 0)
    results = list(fit(make_model(), *data, Training(**FAST | {"epochs": 2})))
    steps = [result for result in results if isinstance(result, StepResult)]
    num_steps = data[0].num_batches(256)
    assert [(step.epoch, step.step) for step in steps] == list(itertools.product((1, 2), range(1, num_steps + 1)))
    assert {step.num_steps for step in steps} == {num_steps}
    assert all(step.rows_per_s > 0 and step.gradient_norm > 0 for step in steps)


@pytest.mark.parametrize("options", [{}, {"ema_decay": 0.9}, {"schedule": "plateau", "learning_rate": 0.5}])
@pytest.mark.parametrize("epochs_before", [1, pytest.param(2, marks=pytest.mark.numeric), 3])
def test_a_resumed_run_ends_bit_identical(make_model, data, tmp_path, options, epochs_before):
    training = Training(**FAST | options)
    whole, interrupted, resumed = make_model(), make_model(), make_model(seed=9)
    expected = epochs_of(fit(whole, *data, training))
    before = fit(interrupted, *data, training, checkpoints=tmp_path / "checkpoints")
    list(itertools.islice((r for r in before if isinstance(r, EpochResult)), epochs_before))
    before.close()
    actual = epochs_of(fit(resumed, *data, training, checkpoints=tmp_path / "checkpoints", resume=True))
    assert [(r.epoch, r.train_loss, r.valid_loss, r.is_best) for r in actual] == [
        (r.epoch, r.train_loss, r.valid_loss, r.is_best) for r in expected
    ]
    assert are_equal(weights_of(resumed), weights_of(whole))


@pytest.mark.parametrize("lost", ["random/", "optimizer/", "average/"])
def test_a_checkpoint_without_a_part_would_not_resume_identically(make_model, data, tmp_path, monkeypatch, lost):
    training = Training(**FAST, ema_decay=0.9)
    whole, resumed = make_model(), make_model()
    list(fit(whole, *data, training))
    before = fit(make_model(), *data, training, checkpoints=tmp_path / "checkpoints")
    next(result for result in before if isinstance(result, EpochResult))
    before.close()
    group = run_state._group
    empty = {"random/": {}, "optimizer/": {}, "average/": weights_of(make_model(seed=3))}[lost]
    monkeypatch.setattr(
        run_state, "_group", lambda tensors, name: empty if f"{name}/" == lost else group(tensors, name)
    )
    list(fit(resumed, *data, training, checkpoints=tmp_path / "checkpoints", resume=True))
    assert not are_equal(weights_of(resumed), weights_of(whole))


def test_without_resume_checkpoints_of_an_earlier_run_are_not_read(make_model, data, tmp_path):
    list(fit(make_model(), *data, Training(**FAST), checkpoints=tmp_path / "checkpoints"))
    results = epochs_of(fit(make_model(), *data, Training(**FAST, seed=2), checkpoints=tmp_path / "checkpoints"))
    assert len(results) == 3


def test_resuming_with_another_configuration_or_other_data_is_refused(make_model, make_shards, data, tmp_path):
    options = {"checkpoints": tmp_path / "checkpoints", "resume": True}
    list(fit(make_model(), *data, Training(**FAST), **options))
    with pytest.raises(MismatchedCheckpointError, match=r"training\.clip_norm was 1\.0, is 2\.0$"):
        next(fit(make_model(), *data, Training(**FAST, clip_norm=2.0), **options))
    with pytest.raises(MismatchedCheckpointError, match=r"architecture\.hidden_size was 8, is 9$"):
        next(fit(make_model(hidden_size=9), *data, Training(**FAST), **options))
    with pytest.raises(MismatchedCheckpointError, match=r"data\.train was '[0-9a-f]{64}', is '[0-9a-f]{64}'$"):
        next(fit(make_model(), make_shards("other", 300, seed=7), data[1], Training(**FAST), **options))


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_non_finite_value_stops_before_the_update(make_model, data, monkeypatch, poison, where):
    model, compute_loss, kept = make_model(), TrainingStep._loss, {}

    def poisoned_at_step_3(step, batch):
        kept["calls"] = kept.get("calls", 0) + 1
        loss = compute_loss(step, batch)
        if kept["calls"] == 3:
            kept.update(weights=weights_of(step.model), rows=tuple(batch.row.tolist()))
            if where == "loss":
                return loss * poison
            loss.register_hook(lambda gradient: gradient * poison)
        return loss

    monkeypatch.setattr(TrainingStep, "_loss", poisoned_at_step_3)
    with pytest.raises(NonFiniteError) as caught:
        list(fit(model, *data, Training(**FAST)))
    assert are_equal(weights_of(model), kept["weights"])
    assert (caught.value.epoch, caught.value.step, caught.value.rows) == (1, 3, kept["rows"])
    what = {"loss": "loss", "gradient": "gradient norm"}[where]
    assert str(caught.value).startswith(f"epoch 1 step 3: the {what} is ")


def test_without_the_guard_one_poisoned_step_destroys_the_weights(make_model, data, monkeypatch):
    model = make_model()
    monkeypatch.setattr("rnnmodels.training.training_step.np.isfinite", lambda value: True)
    compute_loss = TrainingStep._loss
    monkeypatch.setattr(TrainingStep, "_loss", lambda step, batch: compute_loss(step, batch) * float("nan"))
    with pytest.raises(FloatingPointError, match=r"^epoch 1: the validation loss is nan$"):
        list(fit(model, *data, Training(**FAST)))
    assert model.head.weight.isnan().all()


def test_gradients_are_clipped_to_the_norm(make_model, data):
    step = TrainingStep(make_model(), Training(**FAST, clip_norm=1e-3), torch.float32)
    figures = step.run(next(data[0].batches(256)), rate=0.01, epoch=1, step=1)
    clipped = torch.nn.utils.get_total_norm([weight.grad for weight in step.weights])
    assert figures.gradient_norm > 1e-2
    assert clipped.item() == pytest.approx(1e-3, rel=1e-3)
    assert figures.is_clipped


@pytest.mark.parametrize(("clip_norm", "share"), [(1e-6, 1), (1000, 0)])
def test_an_epoch_tells_which_share_of_its_updates_was_clipped(make_model, data, clip_norm, share):
    (epoch,) = epochs_of(fit(make_model(), *data, Training(**FAST | {"epochs": 1}, clip_norm=clip_norm)))
    assert epoch.clipped_share == share


def test_biases_are_not_decayed(make_model):
    groups = TrainingStep(make_model(), Training(**FAST), torch.float32).optimizer.param_groups
    decays = {weight.ndim: group["weight_decay"] for group in groups for weight in group["params"]}
    assert decays == {2: 0.01, 1: 0.0}
    assert all(len({weight.ndim for weight in group["params"]}) == 1 for group in groups)


def test_no_rows_and_unreadable_ids_are_refused_before_training(make_model, data, make_shards):
    with pytest.raises(ValueError, match=r"^no rows in no shards, expected at least one$"):
        next(fit(make_model(), Shards((), ()), data[1], Training(**FAST)))
    model = make_model()
    model.vocabulary_size = 20
    with pytest.raises(ValueError, match=r"^row \d+: got token id 2\d, expected 0 to 19$"):
        next(fit(model, *data, Training(**FAST)))


def test_a_single_row_can_be_trained_on(make_model, make_shards):
    one = make_shards("one", 1)
    assert len(epochs_of(fit(make_model(), one, one, Training(**FAST)))) == 3


def test_an_lstm_trains_in_bfloat16_and_is_evaluated_in_float32(make_model, data):
    rounded, exact = make_model(cell="lstm"), make_model(cell="lstm")
    list(fit(rounded, *data, Training(**FAST | {"precision": "bfloat16"})))
    list(fit(exact, *data, Training(**FAST)))
    assert not are_equal(weights_of(rounded), weights_of(exact))
    assert {weight.dtype for weight in rounded.parameters()} == {torch.float32}
