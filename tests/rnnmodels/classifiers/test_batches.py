"""Batches: every row once, bounded padded tokens, orders that depend on seed and epoch alone."""

import re

import numpy as np
import pytest

from rnnmodels.classifiers.batches import Shards, open_shards


def rows_in_order(shards, *, batch_tokens=64, **options):
    return [batch.row.tolist() for batch in shards.batches(batch_tokens, **options)]


@pytest.mark.parametrize("options", [{}, {"seed": 1}, {"seed": 1, "epoch": 2}])
@pytest.mark.parametrize("block_rows", [4096, 10])
def test_every_row_comes_exactly_once_per_epoch(make_shards, options, block_rows):
    shards = make_shards("train", 101, block_rows=block_rows)
    rows = [row for batch in rows_in_order(shards, **options) for row in batch]
    assert sorted(rows) == list(range(101)) == list(range(shards.num_rows))


def test_orders_repeat_by_seed_and_differ_by_epoch(make_shards):
    shards = make_shards("train", 101)
    assert rows_in_order(shards, seed=1, epoch=3) == rows_in_order(shards, seed=1, epoch=3)
    assert rows_in_order(shards, seed=1, epoch=3) != rows_in_order(shards, seed=1, epoch=4)
    assert rows_in_order(shards, seed=1, epoch=3) != rows_in_order(shards, seed=2, epoch=3)
    assert rows_in_order(shards) == rows_in_order(shards, epoch=7)


def test_rows_are_shuffled_across_batches_and_widths_alternate(make_shards):
    shards = make_shards("train", 200)
    fixed = {frozenset(rows) for rows in rows_in_order(shards)}
    shuffled = {frozenset(rows) for rows in rows_in_order(shards, seed=1)}
    assert not fixed & shuffled
    widths = [batch.steps.shape[1] for batch in shards.batches(64, seed=1)]
    assert widths != sorted(widths)


@pytest.mark.parametrize("seed", [None, 1])
def test_a_row_keeps_its_tokens_length_and_target(make_shards, seed):
    expected = {
        row: (tokens[:length].tolist(), target)
        for block in make_shards("train", 50).blocks
        for row, tokens, length, target in zip(block.row, block.steps, block.length, block.target, strict=True)
    }
    for batch in make_shards("train", 50).batches(64, seed=seed):
        for row, tokens, length, target in zip(batch.row, batch.steps, batch.length, batch.target, strict=True):
            assert (tokens[:length].tolist(), target) == expected[row]
            assert (2 in tokens) == bool(target)


def test_batches_hold_a_constant_number_of_padded_tokens_and_no_small_remainder(make_shards):
    shards = make_shards("train", 205)
    sizes = [batch.steps.shape for batch in shards.batches(64, seed=1)]
    assert max(rows * width for rows, width in sizes) <= 64
    assert {rows for rows, width in sizes if width == 8} <= {7, 8}
    assert {rows for rows, width in sizes if width == 16} <= {3, 4}
    assert shards.num_batches(64) == len(sizes)


def test_a_budget_below_one_row_gives_batches_of_one_row(make_shards):
    assert {len(rows) for rows in rows_in_order(make_shards("train", 9), batch_tokens=2)} == {1}


def test_one_row_and_no_rows_are_defined(make_shards):
    assert rows_in_order(make_shards("one", 1), seed=1) == [[0]]
    assert rows_in_order(Shards((), ()), seed=1) == []


def test_without_a_seed_batches_are_views_of_the_file(make_shards):
    shards = make_shards("train", 50)
    for batch in shards.batches(64):
        assert any(np.shares_memory(batch.steps, block.steps) for block in shards.blocks)
        assert batch.steps.dtype == np.uint16


def test_the_digest_follows_the_files_contents(shard_files):
    first = open_shards(shard_files("a", 20)).digest
    assert open_shards(shard_files("b", 20)).digest == first
    assert open_shards(shard_files("c", 20, seed=1)).digest != first


def test_ids_that_the_model_cannot_read_are_named(make_shards):
    shards = make_shards("train", 20)
    shards.check_ids(vocabulary_size=30, num_classes=2)
    largest = max(int(block.steps.max()) for block in shards.blocks)
    with pytest.raises(ValueError, match=rf"^row \d+: got token id {largest}, expected 0 to {largest - 1}$"):
        shards.check_ids(vocabulary_size=largest, num_classes=2)
    with pytest.raises(ValueError, match=re.escape("got class 1, expected 0 to 0")):
        shards.check_ids(vocabulary_size=30, num_classes=1)
