"""Metrics of language models are ratios of sums, whatever the tokens and however they were batched."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.contract.evaluation import EvaluationSummary
from tasks.kinds.language.baseline import BASELINES, LanguageBaselineSettings
from tasks.kinds.language.evaluate import LanguageEvaluationSettings, measure_chance, write_evaluation
from tasks.kinds.language.metrics import measure_advantage
from tasks.kinds.language.token_losses import BLOCK, SCORED_SPLITS, TokenLosses, open_split, write_losses
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.text.vocabulary import SPECIALS, Vocabulary

SETTINGS = LanguageEvaluationSettings(resamples=100)
ALPHABET = "abcde"
SIZE = len(SPECIALS) + len(ALPHABET)


def texts(num_documents: int, num_tokens: int, seed: int) -> list[list[int]]:
    """Characters of which the first are the most frequent."""
    generator = np.random.default_rng(seed)
    return [(2 + generator.geometric(0.4, num_tokens).clip(max=5) - 1).tolist() for _ in range(num_documents)]


SPLITS = {"train": texts(40, 90, 1), "valid": texts(31, 300, 2), "test": texts(33, 270, 3)}


def encoded_by(tokenizer: str, *, lowercase: bool = False) -> Artefact:
    def write(folder: Path) -> Summary:
        Vocabulary(tokenizer, lowercase, tuple(ALPHABET)).save(folder / "vocabulary.json")
        return Summary(rows=1)

    return artefacts.build(
        "encode", write, module="tasks.store.artefacts", config={"tokenizer": tokenizer, "lowercase": lowercase}
    )


def model_of(shards: Artefact, nats_of: Callable[[np.ndarray], np.ndarray], name: str = "lstm", stage: str = "fit"):
    """A model to which tokens cost what a function of them says."""

    def write(folder: Path) -> Summary:
        streams = {split: open_split(shards, split) for split in SCORED_SPLITS}
        costs = {split: nats_of(stream.tokens[1:]) for split, stream in streams.items()}
        write_losses(
            folder,
            {
                split: TokenLosses(documents=streams[split].documents, nats=nats, cold_nats=nats + 0.1)
                for split, nats in costs.items()
            },
        )
        return Summary.model_validate({"rows": 1, "name": name, "train_s": 1})

    return artefacts.build(stage, write, module="tasks.store.artefacts", config={"name": name, "of": shards.digest})


def evaluate(shards: Artefact, model: Artefact, encoded: Artefact | None = None):
    encoded = encoded or encoded_by("char")
    written = artefacts.build(
        "evaluate",
        lambda folder: write_evaluation(folder, model=model, shards=shards, encoded=encoded, settings=SETTINGS),
        module="tasks.store.artefacts",
        config={"encoded": encoded.digest},
        inputs={"model": model, "shards": shards},
    )
    return EvaluationSummary.of(written), json.loads(written.file("metrics.json").read_bytes())


def uniform(tokens: np.ndarray) -> np.ndarray:
    return np.full(len(tokens), math.log(SIZE))


def by_token(tokens: np.ndarray) -> np.ndarray:
    return 0.5 + 0.3 * tokens.astype(np.float64)


def test_a_uniform_model_of_characters_has_the_log_of_its_vocabulary(make_shards):
    summary, _ = evaluate(shards := make_shards(SPLITS, size=SIZE), model_of(shards, uniform))

    for split in SCORED_SPLITS:
        metrics = summary.metrics[split]
        assert metrics["nats_per_char"] == pytest.approx(dict.fromkeys(("value", "low", "high"), math.log(SIZE)))
        assert metrics["bits_per_char"]["value"] == pytest.approx(math.log2(SIZE))
        assert metrics["perplexity"]["value"] == pytest.approx(SIZE)
        assert metrics["cold_nats_per_char"]["value"] == pytest.approx(math.log(SIZE) + 0.1)


@pytest.mark.parametrize("num_documents", [1, 5, 33])
def test_metrics_equal_a_sum_over_all_tokens(make_shards, num_documents):
    """Whether documents or blocks are resampled; a token that is three characters counts as three."""
    splits = {name: documents[:num_documents] for name, documents in SPLITS.items()}
    shards = make_shards(splits, size=SIZE, chars_per_token=3, spelling=2.5)

    summary, told = evaluate(shards, model_of(shards, by_token))

    total, num_tokens, num_chars = 0.0, 0, 0
    ends = [0] if num_documents > 1 else []
    for document in splits["test"]:
        total += sum(0.5 + 0.3 * token for token in [*document, *ends])
        num_tokens += len(document) + len(ends)
        num_chars += 3 * len(document) + len(ends)
    metrics, spelling = summary.metrics["test"], 2.5 * num_documents
    assert metrics["nats_per_char"]["value"] == pytest.approx((total + spelling) / num_chars)
    assert metrics["cold_nats_per_char"]["value"] == pytest.approx((total + spelling + 0.1 * num_tokens) / num_chars)
    assert metrics["bits_per_char"]["value"] == pytest.approx((total + spelling) / num_chars / math.log(2))
    assert metrics["perplexity"]["value"] == pytest.approx(math.exp(total / num_tokens))
    assert all(one["low"] <= one["value"] <= one["high"] for one in metrics.values())
    assert told["units"]["test"]["by"] == ("documents" if num_documents == 33 else "blocks")
    assert summary.rows == num_tokens


def test_slices_are_lengths_of_documents_or_parts_of_a_text(make_shards):
    shards = make_shards(SPLITS | {"test": [one[: 5 * (1 + i)] for i, one in enumerate(SPLITS["test"])]}, size=SIZE)
    book = make_shards({name: [np.concatenate(documents).tolist()] for name, documents in SPLITS.items()}, size=SIZE)

    by_length, by_part = (evaluate(one, model_of(one, by_token))[1]["slices"] for one in (shards, book))

    assert [one["by"] for one in by_length] == ["length"] * 4
    assert by_length[0]["slice"] == "6 to 46 characters"
    assert [one["slice"] for one in by_part] == ["first quarter", "second quarter", "third quarter", "last quarter"]
    costs, blocks = by_token(open_split(book, "test").tokens[1:]), by_part[0]["units"]
    assert by_part[0]["nats_per_char"]["value"] == pytest.approx(costs[: blocks * BLOCK].mean())


def test_a_model_that_learned_less_than_frequencies_is_a_problem(make_shards):
    shards = make_shards(SPLITS, size=SIZE)
    chance = measure_chance(shards)

    problems = [
        evaluate(shards, model_of(shards, lambda tokens, cost=cost: np.full(len(tokens), cost), stage))[0].problems
        for cost, stage in ((chance - 0.01, "good"), (chance + 0.01, "bad"))
    ]

    assert problems[0] == []
    assert problems[1] == [
        f"bad learned nothing: its validation loss of {chance + 0.01:.3f} nats per token is no better than "
        f"{chance:.3f}, the loss of knowing only how frequent each token is; raise training.epochs, change "
        "training.learning_rate, or add text"
    ]


def test_chance_is_what_frequencies_of_tokens_are_worth_or_equal_shares(make_shards):
    seen, alien = ({"train": [[2] * 96], "valid": [valid], "test": [[2]]} for valid in ([2, 2, 3], [3, 4]))

    shares = np.array([97, 97, 1]) / (96 + SIZE)
    assert measure_chance(make_shards(seen, size=SIZE)) == pytest.approx(-np.log(shares).mean())
    assert measure_chance(make_shards(alien, size=SIZE)) == pytest.approx(math.log(SIZE))


def test_a_baseline_that_learned_nothing_is_no_problem_of_the_run(make_shards):
    shards = make_shards(SPLITS, size=SIZE)

    assert evaluate(shards, model_of(shards, uniform, stage="baseline"))[0].problems == []


def test_what_a_tokenizer_drops_and_does_not_know_is_told(make_shards):
    known = make_shards(SPLITS, size=SIZE)
    unknown = make_shards(SPLITS | {"test": [[1, 2, 3, 4] * 20] * 31}, size=SIZE)

    assert evaluate(known, model_of(known, uniform))[0].warnings == []
    assert evaluate(known, model_of(known, uniform), encoded_by("word", lowercase=True))[0].warnings == [
        "the tokenizer drops white space and upper case, which no model has to predict: compare nats per character "
        "only with models that read texts in the same way."
    ]
    assert evaluate(unknown, model_of(unknown, uniform))[0].warnings == [
        "24.7% of the test tokens are unknown to the vocabulary: perplexity counts each as one token, nats per "
        "character add what spelling it costs."
    ]


def test_a_short_text_is_warned_of(make_shards):
    shards = make_shards({name: [documents[0]] for name, documents in SPLITS.items()}, size=SIZE)

    assert evaluate(shards, model_of(shards, by_token))[0].warnings == [
        f"{split} has only 2 blocks of 256 tokens: its intervals are too narrow." for split in ("valid", "test")
    ]


def test_the_advantage_is_paired_by_document(make_shards):
    shards = make_shards(SPLITS, size=SIZE)
    best = model_of(shards, by_token, "best")
    other = model_of(shards, lambda tokens: by_token(tokens) + 0.05 + 0.01 * (tokens == 3), "other")

    advantage = measure_advantage(best, other, "nats_per_char", SETTINGS.bootstrap)

    tokens = open_split(shards, "test").tokens[1:]
    assert advantage.gain["value"] == pytest.approx(0.05 + 0.01 * (tokens == 3).mean())
    assert advantage.gain["high"] - advantage.gain["low"] < 0.002
    assert advantage.p_value == pytest.approx(1 / 101)
    assert measure_advantage(best, best, "cold_nats_per_char", SETTINGS.bootstrap).gain["value"] == 0


def test_baselines_are_scored_like_candidates(make_shards):
    """Of independent characters their frequencies are all that can be known, and n-grams find that out."""
    shards, found = make_shards(SPLITS, size=SIZE), {}
    for name, write in BASELINES.items():
        model = artefacts.build(
            "baseline",
            lambda folder, write=write: write(folder, shards=shards, settings=LanguageBaselineSettings()),
            module="tasks.store.artefacts",
            config={"name": name},
        )
        found[name] = evaluate(shards, model)[0].metrics["test"], model.summary

    unigram, ngram = (found[name][0]["nats_per_char"]["value"] for name in ("unigram", "ngram"))
    assert unigram == pytest.approx(measure_chance(shards), abs=0.05)
    assert ngram == pytest.approx(unigram, abs=0.05)
    assert [found[name][1]["order"] for name in ("unigram", "ngram")] in ([1, 1], [1, 2])


def test_a_long_training_text_is_counted_to_a_limit(make_shards, project):
    shards = make_shards(SPLITS, size=SIZE)
    settings = LanguageBaselineSettings(max_tokens=1000)

    summary = BASELINES["ngram"](project, shards=shards, settings=settings)

    assert summary.warnings == ["ngram counts the first 1,000 of 3,640 training tokens (baseline.max_tokens)"]
    scored = pl.read_parquet(project / "scores.parquet")
    assert scored["num_tokens"].sum() == summary.rows == 31 * 301 + 33 * 271
