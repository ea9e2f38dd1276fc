"""Language models: what they learn, carry and promise."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from rnnmodels.language.language_config import LanguageArchitecture, LanguageTraining
from rnnmodels.language.language_model import LanguageModel
from rnnmodels.language.sampled_softmax import sampled_cross_entropy
from rnnmodels.language.token_streams import TokenStream, stream_of
from rnnmodels.language.warm_start import start_from
from rnnmodels.training import fitting, run_state
from rnnmodels.training.checkpoint import load_model, newest_first, save_model
from rnnmodels.training.evaluation import evaluating
from rnnmodels.training.fitting import fit
from rnnmodels.training.results import EpochResult

MakeModel = Callable[..., LanguageModel]
TRICKS = {
    "locked_dropout": 0.1,
    "output_dropout": 0.1,
    "embedding_dropout": 0.1,
    "weight_dropout": 0.2,
    "num_layers": 2,
}


@pytest.fixture(autouse=True)
def _has_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams in memory have no files to be known by."""
    of_content = property(lambda stream: hashlib.sha256(stream.tokens.tobytes()).hexdigest())
    monkeypatch.setattr(TokenStream, "digest", of_content)


def train(model: LanguageModel, text: np.ndarray, folder: Path | None = None, **settings: object) -> list[EpochResult]:
    values = {"epochs": 3, "streams": 4, "bptt": 16, "learning_rate": 0.02, "device": "cpu"} | settings
    stream, valid = stream_of([text], bptt=values["bptt"]), stream_of([text[:300]])
    results = fit(model, stream, valid, LanguageTraining(**values), checkpoints=folder, resume=folder is not None)
    return [result for result in results if isinstance(result, EpochResult)]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_what_repeats_is_learned(make_language_model: MakeModel, book: np.ndarray, cell: str) -> None:
    epochs = train(make_language_model(cell=cell, hidden_size=24), book, epochs=6)
    assert epochs[-1].valid_loss < 0.8
    assert epochs[0].train_loss > 1.5


def test_everything_at_once_is_learned_too(make_language_model: MakeModel, book: np.ndarray) -> None:
    model = make_language_model(hidden_size=24, tied=True, **TRICKS)
    epochs = train(model, book, epochs=8, activation_penalty=0.1, change_penalty=0.1, ema_decay=0.9, sampled_tokens=6)
    assert epochs[-1].valid_loss < 1.6


def test_the_state_is_carried_from_chunk_to_chunk(make_language_model: MakeModel) -> None:
    model, training = make_language_model(), LanguageTraining(reset_share=0)
    first, second = list(stream_of([np.arange(2, 12)], bptt=5).batches(1))
    model.loss(first, training)
    carried = model.loss(second, training).item()
    model.carry({})
    alone = model.loss(second, training).item()
    assert carried != pytest.approx(alone, abs=1e-4)
    whole = next(stream_of([np.arange(2, 12)], bptt=10).batches(1))
    assert carried + model.loss(first, training).item() == pytest.approx(
        2 * model.loss(whole, training).item(), rel=1e-5
    )


def test_some_streams_begin_a_chunk_with_an_empty_state(make_language_model: MakeModel) -> None:
    model = make_language_model()
    first, second = list(stream_of([np.arange(2, 12)], bptt=5).batches(1))
    model.loss(first, LanguageTraining(reset_share=1))
    reset = model.loss(second, LanguageTraining(reset_share=1)).item()
    model.carry({})
    assert reset == pytest.approx(model.loss(second, LanguageTraining(reset_share=0)).item(), rel=1e-6)


def test_what_is_carried_comes_back(make_language_model: MakeModel) -> None:
    for architecture in ({"cell": "lstm", "num_layers": 2}, {"cell": "gru"}):
        model = make_language_model(**architecture)
        first, second = list(stream_of([np.arange(2, 12)], bptt=5).batches(1))
        model.loss(first, LanguageTraining(reset_share=0))
        carried = model.carried()
        expected = model.loss(second, LanguageTraining(reset_share=0)).item()
        model.carry(carried)
        assert model.loss(second, LanguageTraining(reset_share=0)).item() == expected


class KilledError(Exception):
    """Stands for a killed process."""


@pytest.fixture
def train_and_kill(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a fit die after some steps, each of which leaves a checkpoint."""
    monkeypatch.setattr(fitting, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    loss = LanguageModel.loss

    def train_and_die(num_steps: int, *given: object, **settings: object) -> None:
        steps = iter(range(num_steps))

        def dying(model: LanguageModel, *given: object) -> object:
            if next(steps, None) is None:
                raise KilledError
            return loss(model, *given)

        with monkeypatch.context() as patch:
            patch.setattr(LanguageModel, "loss", dying)
            with pytest.raises(KilledError):
                train(*given, **settings)

    return train_and_die


@pytest.mark.parametrize(
    ("cell", "precision"),
    [
        ("lstm", "float32"),
        ("lstm", "bfloat16"),
        ("gru", "bfloat16"),
        ("rnn", "bfloat16"),
        ("transformer", "float32"),
        ("transformer", "bfloat16"),
    ],
)
def test_a_run_interrupted_within_an_epoch_ends_as_if_it_had_not_been(
    make_language_model: MakeModel,
    book: np.ndarray,
    tmp_path: Path,
    train_and_kill: Callable[..., None],
    *,
    cell: str,
    precision: str,
) -> None:
    settings, architecture = {"ema_decay": 0.9, "precision": precision}, TRICKS | {"cell": cell}
    whole = make_language_model(**architecture)
    expected = train(whole, book, **settings)
    for num_steps in (3, 25, 12):
        train_and_kill(num_steps, make_language_model(**architecture), book, tmp_path, **settings)
    assert any(b"loss_sum" in path.read_bytes() for path in newest_first(tmp_path))
    resumed = make_language_model(**architecture)
    epochs = train(resumed, book, tmp_path, **settings)
    assert [epoch.train_loss for epoch in epochs] == [epoch.train_loss for epoch in expected]
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "transformer"])
def test_a_machine_without_bfloat16_goes_on_from_an_interrupted_epoch(
    make_language_model: MakeModel, book: np.ndarray, tmp_path: Path, train_and_kill: Callable[..., None], cell: str
) -> None:
    undisturbed = train(make_language_model(cell=cell), book)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_state, "resolve_precision", lambda *_: torch.bfloat16)
        train_and_kill(12, make_language_model(cell=cell), book, tmp_path)

    epochs = train(make_language_model(cell=cell), book, tmp_path)

    assert epochs[-1].valid_loss == pytest.approx(undisturbed[-1].valid_loss, abs=0.05)


def test_the_future_changes_nothing_that_was_said_before(make_language_model: MakeModel) -> None:
    model = make_language_model(num_layers=2)
    tokens = torch.randint(1, 12, (30, 2))
    changed = tokens.clone()
    changed[20:] = 1
    with evaluating(model):
        before, after = (model.advance(one)[0] for one in (tokens, changed))
    assert torch.equal(before[:20], after[:20])


def test_a_saved_model_is_the_same_model(make_language_model: MakeModel, tmp_path: Path) -> None:
    for index, architecture in enumerate(({"tied": True}, {"tied": True, "embedding_size": 8}, {"cell": "gru"})):
        model = make_language_model(**architecture)
        save_model(model, tmp_path / str(index))
        again = load_model(LanguageModel, tmp_path / str(index))
        tokens = torch.arange(10)[:, None]
        with evaluating(model):
            assert torch.equal(model.advance(tokens)[0], again.advance(tokens)[0])


def test_an_unknown_token_is_named(make_language_model: MakeModel) -> None:
    with pytest.raises(ValueError, match="got token id 99 at 2, expected 0 to 11"):
        make_language_model().check(stream_of([np.array([3, 99])]))


def test_no_model_reads_what_it_predicts() -> None:
    with pytest.raises(ValueError, match="bidirectional"):
        LanguageArchitecture(bidirectional=True)


def test_a_new_vocabulary_takes_over_the_tokens_that_were_known(make_language_model: MakeModel, tmp_path: Path) -> None:
    for tied in (True, False):
        earlier, model = make_language_model(tied=tied), make_language_model(seed=2, tied=tied)
        save_model(earlier, tmp_path)
        initial = model.embedding.weight.detach().clone()
        token_ids = [0, 1, 5, -1, *range(2, 5), *range(6, 11)]
        assert start_from(model, tmp_path, token_ids=token_ids) == ""
        assert torch.equal(model.embedding.weight[2], earlier.embedding.weight[5])
        assert torch.equal(model.embedding.weight[3], initial[3])
        assert torch.equal(model.output_layer()[0][4], earlier.output_layer()[0][2])
    assert start_from(make_language_model(hidden_size=9), tmp_path, token_ids=token_ids) == "hidden_size = 8, not 9"


def test_a_sampled_softmax_has_the_gradient_of_the_whole_on_average() -> None:
    torch.manual_seed(1)
    weight, bias = torch.randn(60, 4, requires_grad=True), torch.zeros(60, requires_grad=True)
    share = torch.rand(60).square().softmax(0)
    exact, sampled = [], []
    for _ in range(60):
        features, target = torch.randn(100, 4), share.multinomial(100, replacement=True)
        exact.append(functional.cross_entropy(features @ weight.T + bias, target))
        sampled.append(sampled_cross_entropy((weight, bias), features, target, share, 20))
    gradients = [torch.autograd.grad(torch.stack(losses).mean(), weight)[0].flatten() for losses in (exact, sampled)]
    assert torch.cosine_similarity(*gradients, dim=0) > 0.97
    assert torch.stack(sampled).mean().item() == pytest.approx(torch.stack(exact).mean().item(), rel=0.05)


def test_tokens_are_drawn_as_often_as_they_are_in_the_stream(make_language_model: MakeModel, tmp_path: Path) -> None:
    model = make_language_model()
    model.count_tokens(np.array([3] * 8 + [5] * 3))
    assert (model.token_shares * 23).round().tolist() == [1, 1, 1, 9, 1, 4, 1, 1, 1, 1, 1, 1]
    save_model(model, tmp_path)
    assert "token_shares" not in load_model(LanguageModel, tmp_path).state_dict()


def test_a_transformer_takes_the_place_of_recurrent_layers(make_language_model: MakeModel, book: np.ndarray) -> None:
    model = make_language_model(cell="transformer", hidden_size=32, num_heads=2, num_layers=2, context=24)
    assert train(model, book, epochs=5, learning_rate=0.005)[-1].valid_loss < 1
    chunk = next(stream_of([book], bptt=16).batches(2))
    model.loss(chunk, LanguageTraining())
    carried = model.carried()
    model.carry(carried)
    assert {name: tensor.shape for name, tensor in model.carried().items()} == {
        name: tensor.shape for name, tensor in carried.items()
    }


def test_chunks_of_a_single_step_are_learned_from(make_language_model: MakeModel, book: np.ndarray) -> None:
    epochs = train(make_language_model(), book[:65], epochs=1, streams=16, bptt=3, change_penalty=1.0)
    assert np.isfinite(epochs[-1].train_loss)


def test_a_validation_loss_that_is_not_finite_is_an_error(make_language_model: MakeModel, book: np.ndarray) -> None:
    model = make_language_model()
    with torch.no_grad():
        model.output_bias.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="the validation loss is nan"):
        model.validate(stream_of([book]), LanguageTraining())
