"""Text that is written token by token: as a model that reads everything again would write it, drawn as asked."""

import math
from collections import Counter

import pytest
import torch

from rnnmodels.language.generation import UNKNOWN, TokenWriter, choose_token, generate_ids
from rnnmodels.language.language_config import LanguageArchitecture
from rnnmodels.language.language_model import LanguageModel
from rnnmodels.language.sampling import Sampling
from rnnmodels.language.token_streams import BOUNDARY

# Probabilities of ids 0 to 5, of which 1 is never written.
LOGITS = torch.tensor([0.05, 0.9, 0.4, 0.3, 0.15, 0.1]).log()


def draw_model(cell: str = "lstm", num_layers: int = 2) -> LanguageModel:
    architecture = LanguageArchitecture(cell=cell, hidden_size=12, embedding_size=6, num_layers=num_layers)
    model = LanguageModel(architecture, vocabulary_size=20, seed=3)
    torch.nn.init.normal_(model.output_weight, std=2, generator=torch.Generator().manual_seed(1))
    model.output_bias.data[BOUNDARY] = -100  # it ends no text by itself
    return model


def draw_many(sampling: Sampling, number: int = 400) -> Counter[int]:
    generator = torch.Generator().manual_seed(7)
    return Counter(choose_token(LOGITS, sampling, generator) for _ in range(number))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_logits_equal_those_of_reading_everything_again(cell: str):
    model, prompt, written = draw_model(cell).eval(), [4, 9, 2], []
    writer = TokenWriter(model, Sampling(length=30, seed=1))
    writer.read(prompt)

    for token in writer.write():
        with torch.inference_mode():
            again, _ = model.advance(torch.tensor([BOUNDARY, *prompt, *written])[:, None])
        torch.testing.assert_close(writer.logits_V, again[-1, 0], atol=1e-5, rtol=1e-5)
        written.append(token)

    assert len(written) == 30


def test_a_prompt_may_be_read_in_parts():
    model, sampling = draw_model(), Sampling(length=30, seed=5)
    writer = TokenWriter(model, sampling)
    for part in ([4, 9], [2], [7, 7, 3]):
        writer.read(part)

    assert list(writer.write()) == list(generate_ids(model, [4, 9, 2, 7, 7, 3], sampling))


def test_a_token_costs_the_same_however_long_the_text_is():
    model, sizes = draw_model(), []
    advance = model.advance
    model.advance = lambda tokens, states: sizes.append(tokens.numel()) or advance(tokens, states)

    list(generate_ids(model, [5] * 40, Sampling(length=20, seed=2)))

    assert sizes == [1, 40, *[1] * 19]


def test_the_same_seed_gives_the_same_text_and_another_seed_another():
    model = draw_model()
    texts = [tuple(generate_ids(model, [3], Sampling(length=40, seed=seed))) for seed in (8, 8, 9)]

    torch.rand(3)

    assert texts[0] == texts[1] == tuple(generate_ids(model, [3], Sampling(length=40, seed=8)))
    assert texts[0] != texts[2]


def test_without_a_seed_one_is_drawn_and_known():
    writer = TokenWriter(draw_model(), Sampling(length=10))
    again = TokenWriter(draw_model(), Sampling(length=10, seed=writer.seed))

    assert list(writer.write()) == list(again.write())


def test_draws_come_from_no_other_generator():
    before = torch.random.get_rng_state()

    list(generate_ids(draw_model(), [3], Sampling(length=5)))

    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_model_that_is_being_trained_writes_without_dropout_and_stays_in_training():
    model, sampling = draw_model(), Sampling(length=20, seed=4)
    expected = list(generate_ids(model.eval(), [2], sampling))

    assert list(generate_ids(model.train(), [2], sampling)) == expected
    assert model.training


def test_unknown_tokens_are_never_written():
    assert UNKNOWN not in draw_many(Sampling(temperature=1))
    assert UNKNOWN not in draw_many(Sampling(temperature=1, top_k=3))
    assert choose_token(LOGITS, Sampling(temperature=0), torch.Generator()) == 2


def test_a_text_ends_at_a_boundary_or_when_it_is_long_enough():
    model = draw_model()
    model.output_bias.data[BOUNDARY] = 100
    ended = TokenWriter(model, Sampling(length=5, seed=0))
    assert (list(ended.write()), ended.has_ended) == ([], True)

    unending = TokenWriter(model, Sampling(length=5, seed=0), may_end=False)
    assert (len(list(unending.write())), unending.has_ended) == (5, False)

    model.output_bias.data[BOUNDARY] = -100
    cut = TokenWriter(model, Sampling(length=5, seed=0))
    assert (len(list(cut.write())), cut.has_ended) == (5, False)


def test_tokens_are_drawn_as_often_as_the_temperature_says():
    for temperature in (0.5, 1, 2):
        weights = {token: math.exp(LOGITS[token] / temperature) for token in (0, 2, 3, 4, 5)}
        drawn = draw_many(Sampling(temperature=temperature), 2_000)
        for token, weight in weights.items():
            assert drawn[token] / 2_000 == pytest.approx(weight / sum(weights.values()), abs=0.04)


@pytest.mark.parametrize(
    ("top_k", "kept"), [(1, {2}), (2, {2, 3}), (4, {2, 3, 4, 5}), (5, {0, 2, 3, 4, 5}), (99, None)]
)
def test_top_k_keeps_that_many_likeliest(top_k: int, kept: set[int] | None):
    assert set(draw_many(Sampling(temperature=1, top_k=top_k))) == (kept or {0, 2, 3, 4, 5})


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.001, {2}), (0.39, {2}), (0.41, {2, 3}), (0.69, {2, 3}), (0.71, {2, 3, 4}), (0.99, None)]
)
def test_top_p_keeps_the_fewest_that_have_this_probability_together(top_p: float, kept: set[int] | None):
    assert set(draw_many(Sampling(temperature=1, top_p=top_p))) == (kept or {0, 2, 3, 4, 5})


def test_top_p_counts_what_temperature_and_top_k_left():
    # Of 2, 3 and 4 the first two have 0.82 of the probability.
    assert set(draw_many(Sampling(temperature=1, top_k=3, top_p=0.82))) == {2, 3}
    assert set(draw_many(Sampling(temperature=1, top_k=3, top_p=0.83))) == {2, 3, 4}


def test_the_smallest_temperature_overflows_nothing():
    assert set(draw_many(Sampling(temperature=5e-324), 20)) == {2}
    assert set(draw_many(Sampling(temperature=5e-324, top_p=0.5, top_k=2), 20)) == {2}


@pytest.mark.parametrize(
    "settings",
    [{"length": 0}, {"temperature": -1}, {"temperature": math.nan}, {"temperature": math.inf}, {"top_k": -1},
     {"top_p": 0}, {"top_p": 1.1}, {"top_p": math.nan}, {"seed": -1}, {"seed": 2**63}],
)  # fmt: skip
def test_bounds(settings: dict):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Sampling(**settings)
