"""The stage `fit`, on the generated reviews."""

import json
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
import torch

from rnnmodels.config import Architecture, Training
from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.summaries import FittedSummary
from tasks.errors import InputError
from tasks.fit import find_resting, fit, follow
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.labelled.fit import ClassifierCandidate
from tasks.progress import Progress, listening
from tasks.register import candidate_record
from tasks.store import artefacts
from tasks.store.artefacts import Artefact

TRAINING = Training(epochs=3, batch_tokens=400, device="cpu", precision="float32", ema_decay=0.9)
TINY = ClassifierCandidate(
    name="tiny", model=Architecture(cell="gru", embedding_size=4, hidden_size=4), training=TRAINING
)


@pytest.fixture
def shards(reviews: tuple[Lineage, Contest]) -> Artefact:
    return reviews[0].shards


def test_a_fitted_model_comes_with_its_history_and_predictions(shards: Artefact):
    artefact = fit.fn(CLASSIFY, shards, TINY)

    history = json.loads(artefact.file("history.json").read_bytes())
    predictions = pl.read_parquet(artefact.file("predictions.parquet"))
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3]
    assert predictions.schema == {
        "split": pl.String,
        "row": pl.UInt32,
        "target": pl.UInt16,
        "logits": pl.List(pl.Float32),
    }
    assert set(predictions["split"]) == {"valid", "test"}
    assert predictions["row"].is_unique().all()
    assert artefact.summary["name"] == "tiny"
    assert artefact.summary["precision"] == "float32"
    files = {"history.json", "memory.json", "model.json", "model.safetensors", "predictions.parquet"}
    assert set(artefact.manifest["files"]) == files


def test_a_fitted_model_tells_how_far_back_it_remembers(shards: Artefact, reviews: tuple[Lineage, Contest]):
    fitted = fit.fn(CLASSIFY, shards, TINY)
    curve = json.loads(fitted.file("memory.json").read_bytes())["layer 1"]
    record = candidate_record(Scored(model=fitted, evaluation=reviews[1].best.evaluation))

    assert (curve["lag"][0], curve["norm"][0]) == (0, 1)
    assert fitted.summary["memory_horizon"] == {"layer 1": curve["horizon"]}
    assert fitted.summary["memory_span"] == curve["lag"][-1]
    assert record.metrics["memory_horizon/layer 1"] == curve["horizon"]
    assert 0 <= record.metrics["clipped_share"] <= 1
    assert len([epoch["clipped_share"] for epoch in record.history]) == 3


def test_one_seed_gives_one_content_and_another_seed_another(shards: Artefact):
    first = fit.fn(CLASSIFY, shards, TINY)
    with artefacts.refreshing(True):
        second = fit.fn(CLASSIFY, shards, TINY)
    other = fit.fn(CLASSIFY, shards, TINY.model_copy(update={"training": TRAINING.model_copy(update={"seed": 2})}))

    assert second.digest == first.digest
    assert other.digest != first.digest


def interrupt_after_first_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(event: Progress) -> None:
        # The first epoch is reported after its checkpoint was written.
        if event.epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("tasks.fit.emit", interrupt)


@pytest.fixture(autouse=True)
def _every_step_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnmodels.training.fitting.SECONDS_BETWEEN_STEP_RESULTS", 0.0)


@pytest.mark.parametrize("resume", [True, False])
def test_an_interrupted_fit_ends_as_an_uninterrupted_one(
    shards: Artefact, project: Path, monkeypatch: pytest.MonkeyPatch, resume: bool
):
    with monkeypatch.context() as patch:
        interrupt_after_first_epoch(patch)
        with pytest.raises(KeyboardInterrupt):
            fit.fn(CLASSIFY, shards, TINY)
    left = list((project / "data" / "fit").glob("*.partial/checkpoints/*"))

    events: list[Progress] = []
    with listening(events.append):
        resumed = fit.fn(CLASSIFY, shards, TINY, resume=resume)
    monkeypatch.setenv("RNNFLOW_HOME", str(project / "elsewhere"))
    uninterrupted = fit.fn(CLASSIFY, shards, TINY)

    assert left
    assert resumed.digest == uninterrupted.digest
    steps = [event for event in events if event.epoch is None and event.done <= 1]
    assert bool(steps) is not resume  # a resumed fit tells of the first epoch without running it again


def test_a_loss_that_is_not_finite_is_explained():
    def explode() -> None:
        raise FloatingPointError("epoch 1 step 2: the loss is nan; rows of the batch: 3, 5")
        yield

    with pytest.raises(InputError) as error:
        follow(TINY, explode())

    assert str(error.value) == (
        'E-TRN-001 candidate "tiny" stopped before its weights were damaged: '
        "epoch 1 step 2: the loss is nan; rows of the batch: 3, 5.\n"
        "Fix: lower its training.learning_rate or training.clip_norm."
    )


def test_epochs_are_told_as_they_end(shards: Artefact):
    events: list[Progress] = []
    with listening(events.append):
        fit.fn(CLASSIFY, shards, TINY)

    epochs = [event for event in events if event.epoch is not None]
    assert [(event.label, event.done, event.total) for event in epochs] == [
        ("tiny", 1, 3),
        ("tiny", 2, 3),
        ("tiny", 3, 3),
    ]
    assert {"train_loss", "valid_loss", "valid_accuracy", "rows_per_s"} <= set(epochs[0].figures)


def test_a_listener_that_fails_does_not_stop_the_fit(shards: Artefact):
    def fail(event: Progress) -> None:
        raise OSError("the terminal is gone")

    with listening(fail):
        assert fit.fn(CLASSIFY, shards, TINY).summary["epochs"] == 3


def test_a_batch_size_left_to_the_rows_is_recorded_as_what_it_came_to(reviews: tuple[Lineage, Contest]):
    lineage, contest = reviews
    automatic = TINY.model_copy(update={"training": Training(epochs=1, device="cpu")})
    fitted = fit.fn(CLASSIFY, lineage.shards, automatic)
    record = candidate_record(Scored(model=fitted, evaluation=contest.best.evaluation))

    size = int(record.params["training.batch_tokens"])
    assert fitted.manifest["config"]["training"]["batch_tokens"] == "auto"
    assert fitted.summary["settled"] == {"training.batch_tokens": size}
    assert record.metrics["updates_per_epoch"] >= 160 // 8  # batches of 8 rows on average
    assert 8 * 10 < size < 8 * 30


@pytest.mark.parametrize(
    ("num_epochs", "best", "told"),
    [
        (1, 1, ["1 of 3 layers learn by the best epoch, 1; set training.epochs to 3 or more"]),
        (2, 2, ["2 of 3 layers learn by the best epoch, 2; set training.epochs to 3 or more"]),
        (9, 2, ["2 of 3 layers learn by the best epoch, 2; leave gradual_unfreezing out"]),
        (3, 3, []),
    ],
)
def test_layers_whose_turn_to_learn_had_not_come_are_told(num_epochs: int, best: int, told: list[str]):
    training = TRAINING.model_copy(update={"gradual_unfreezing": True, "epochs": num_epochs})
    weight = [torch.nn.Parameter(torch.zeros(1))]
    # The last layer has no weights, as an input that is not projected.
    model = SimpleNamespace(layers_from_top=lambda: [weight, weight, weight, []])
    epochs = [SimpleNamespace(epoch=epoch, is_best=epoch <= best) for epoch in range(1, best + 2)]

    assert find_resting(training, model, epochs) == [f"gradual_unfreezing let only {one}" for one in told]


def test_a_fit_tells_of_layers_that_never_learned(shards: Artefact):
    training = TRAINING.model_copy(update={"gradual_unfreezing": True, "epochs": 1, "batch_tokens": "auto"})

    (told,) = FittedSummary.of(fit.fn(CLASSIFY, shards, TINY.model_copy(update={"training": training}))).warnings

    assert told.startswith("gradual_unfreezing let only 1 of 3 layers learn")
