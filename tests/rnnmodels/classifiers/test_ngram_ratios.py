"""Ratios of n-grams as inputs: counted as by hand, and never with the text that reads them."""

import dataclasses
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnmodels.classifiers.batches import Batch, Shards
from rnnmodels.classifiers.certificate import certify_invariance
from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.classifiers.ngram_ratios import MIN_TEXTS, NUM_FOLDS, NgramRatios, find_fold
from rnnmodels.classifiers.warm_start import start_from
from rnnmodels.config import Architecture, Training
from rnnmodels.training.checkpoint import load_model, save_model
from rnnmodels.training.fitting import fit

LONGEST, VOCABULARY_SIZE, NUM_CLASSES = 3, 8, 3
SIZES = {"vocabulary_size": VOCABULARY_SIZE, "num_classes": NUM_CLASSES}
UNKNOWN = 1


@pytest.fixture(scope="module")
def texts() -> Shards:
    """Sixty texts of few words, some of them unknown, in blocks of two widths."""
    generator = np.random.default_rng(3)
    blocks = []
    for width, rows in ((4, np.arange(0, 60, 2)), (9, np.arange(1, 60, 2))):
        length = generator.integers(1, width + 1, len(rows))
        steps = generator.integers(UNKNOWN, VOCABULARY_SIZE, (len(rows), width))
        steps[np.arange(width) >= length[:, None]] = 0
        target = generator.integers(0, NUM_CLASSES, len(rows))
        blocks.append(Batch(rows.astype(np.uint32), steps.astype(np.uint16), length, target.astype(np.uint16)))
    return Shards((), tuple(blocks))


def learned(texts: Shards) -> NgramRatios:
    ratios = NgramRatios(LONGEST, **SIZES)
    ratios.learn(texts)
    return ratios


def list_texts(texts: Shards) -> list[tuple[int, list[int], int]]:
    return [
        (int(row), steps[:length].tolist(), int(target))
        for block in texts.blocks
        for row, steps, length, target in zip(block.row, block.steps, block.length, block.target, strict=True)
    ]


def count_by_hand(texts: list[tuple[int, list[int], int]], length: int) -> list[Counter[tuple[int, ...]]]:
    """For each class, how many of its texts hold each n-gram without an unknown token."""
    counts = [Counter() for _ in range(NUM_CLASSES)]
    for _, tokens, target in texts:
        grams = {tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1)}
        counts[target].update(gram for gram in grams if UNKNOWN not in gram)
    return counts


def ratio_by_hand(counts: list[Counter], known: set[tuple[int, ...]], gram: tuple[int, ...]) -> list[float]:
    if gram not in known or sum(one[gram] for one in counts) < MIN_TEXTS:
        return [0.0] * NUM_CLASSES
    shares = [math.log((one[gram] + 1) / sum(one[other] + 1 for other in known)) for one in counts]
    return [share - sum(shares) / NUM_CLASSES for share in shares]


def find_known(texts: list[tuple[int, list[int], int]], length: int) -> set[tuple[int, ...]]:
    counts = count_by_hand(texts, length)
    return {gram for gram in set().union(*counts) if sum(one[gram] for one in counts) >= MIN_TEXTS}


def channels_by_hand(texts: list[tuple[int, list[int], int]], tokens: list[int], without_fold: int | None) -> list:
    """The ratios of the n-grams that end at each token."""
    counted = [text for text in texts if without_fold is None or fold_of(text[0]) != without_fold]
    channels: list[list[float]] = [[] for _ in tokens]
    for length in range(1, LONGEST + 1):
        known, counts = find_known(texts, length), count_by_hand(counted, length)
        for end in range(1, len(tokens) + 1):
            channels[end - 1] += ratio_by_hand(counts, known, tuple(tokens[max(end - length, 0) : end]))
    return channels


def fold_of(row: int) -> int:
    return int(find_fold(torch.tensor([row]))[0])


@pytest.mark.parametrize("is_training", [False, True])
def test_ratios_are_those_of_a_count_by_hand(texts: Shards, is_training: bool):
    ratios, listed = learned(texts), iter(list_texts(texts))
    assert ratios.num_known == [len(find_known(list_texts(texts), length)) for length in (1, 2, 3)]
    for block in texts.blocks:
        tokens_BT = torch.from_numpy(block.steps.astype(np.int64))
        row_B = torch.from_numpy(block.row.astype(np.int64))
        channels_TBC = ratios(tokens_BT, row_B if is_training else None)
        for position, (row, tokens, _) in enumerate(next(listed) for _ in block.row):
            expected = channels_by_hand(list_texts(texts), tokens, fold_of(row) if is_training else None)
            found = channels_TBC[: len(tokens), position].tolist()
            assert found == [pytest.approx(one, abs=1e-6) for one in expected]


def test_what_a_text_reads_while_it_is_trained_on_does_not_depend_on_its_label(texts: Shards):
    first = texts.blocks[0]
    others = dataclasses.replace(first, target=np.append((first.target[:1] + 1) % NUM_CLASSES, first.target[1:]))

    def read(shards: Shards) -> torch.Tensor:
        tokens, row = (torch.from_numpy(one[:1].astype(np.int64)) for one in (first.steps, first.row))
        return learned(shards)(tokens, row)

    assert torch.equal(read(texts), read(Shards((), (others, *texts.blocks[1:]))))


def test_folds_are_of_one_size_even_among_every_second_row():
    for rows in (torch.arange(10_000), torch.arange(0, 20_000, 2), torch.arange(0, 100_000, 10)):
        sizes = torch.bincount(find_fold(rows), minlength=NUM_FOLDS)
        assert len(sizes) == NUM_FOLDS
        assert ((sizes - 1_000).abs() < 50).all()


def test_rows_are_read_as_training_rows_in_training_alone(texts: Shards, tmp_path: Path):
    model, batch = make_model(texts, locked_dropout=0, head_dropout=0, embedding_dropout=0), texts.blocks[0]
    in_training, after = model.train().classify_batch(batch), model.eval().classify_batch(batch)
    assert not torch.allclose(in_training, after)
    save_model(model, tmp_path)
    stored = load_model(SequenceClassifier, tmp_path)
    assert torch.equal(stored.classify_batch(batch), after)
    with pytest.raises(ValueError, match=r"not stored; first call model\.ngrams\.learn\(train\)"):
        stored.train().classify_batch(batch)


def test_a_stored_model_reads_the_same(texts: Shards, tmp_path: Path):
    model = make_model(texts)
    save_model(model, tmp_path)
    stored = load_model(SequenceClassifier, tmp_path)
    tokens, length = (torch.from_numpy(one.astype(np.int64)) for one in (texts.blocks[0].steps, texts.blocks[0].length))
    assert torch.equal(model.eval()(tokens, length), stored(tokens, length))
    assert certify_invariance(stored, [np.array([2, 3, 4, 5, 6]), np.array([2, 3])]).passed


def test_nothing_is_trained_before_n_grams_are_counted(texts: Shards):
    model = SequenceClassifier(Architecture(ngram_ratios=2), **SIZES)
    with pytest.raises(ValueError, match=r"call model\.ngrams\.learn\(train\)"):
        list(fit(model, texts, texts, Training()))


@pytest.mark.parametrize("cell", ["gru", "transformer"])
def test_a_warm_start_counts_anew_and_finds_the_ratios_of_each_class(texts: Shards, tmp_path: Path, cell: str):
    model = make_model(texts, cell=cell)
    save_model(model, tmp_path)
    order = [2, 0, 1]
    relabelled = tuple(
        dataclasses.replace(block, target=np.argsort(order)[block.target].astype(np.uint16)) for block in texts.blocks
    )
    other = make_model(Shards((), relabelled), cell=cell, seed=2)

    assert start_from(other, tmp_path, token_ids=range(VOCABULARY_SIZE), class_ids=order) == ""

    tokens, length = (torch.from_numpy(one.astype(np.int64)) for one in (texts.blocks[0].steps, texts.blocks[0].length))
    assert torch.allclose(model.eval()(tokens, length)[:, order], other.eval()(tokens, length), atol=1e-6)


def make_model(texts: Shards, *, seed: int = 1, **architecture: object) -> SequenceClassifier:
    small = {"embedding_size": 4, "hidden_size": 8, "num_heads": 2, "ngram_ratios": LONGEST, **architecture}
    model = SequenceClassifier(Architecture(**small), **SIZES, seed=seed)
    assert model.ngrams is not None
    model.ngrams.learn(texts)
    return model
