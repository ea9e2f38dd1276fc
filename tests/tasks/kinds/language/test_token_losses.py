"""What tokens cost is added up once, whatever the blocks, and each character belongs to one of them."""

import json

import numpy as np
import polars as pl
import pytest

from rnnmodels.language.token_streams import Documents
from tasks.kinds.language.token_losses import (
    BLOCK,
    POSITIONS_FILE,
    SCORES,
    SCORES_FILE,
    TokenLosses,
    bin_by_position,
    tabulate_blocks,
    write_losses,
)


def losses_of(sizes: list[int], seed: int = 1) -> TokenLosses:
    """Documents of so many targets, three characters each but one, that cost anything."""
    num_tokens, generator = np.array(sizes), np.random.default_rng(seed)
    documents = Documents(
        np.arange(len(sizes)) + 7,
        1 + np.cumsum(num_tokens) - num_tokens,
        num_tokens,
        3 * num_tokens - 2,
        num_tokens / 8,
    )
    nats, cold = generator.exponential(2, (2, num_tokens.sum())).astype(np.float32)
    return TokenLosses(documents=documents, nats=nats, cold_nats=cold)


def test_blocks_add_up_to_the_documents():
    losses = losses_of([3, 2 * BLOCK, BLOCK + 1, 1])

    blocks = tabulate_blocks("test", losses)

    assert blocks.schema == SCORES
    assert blocks["row"].to_list() == [7, 8, 8, 9, 9, 10]
    assert blocks["block"].to_list() == [0, 0, 1, 0, 1, 0]
    assert blocks["num_tokens"].to_list() == [3, BLOCK, BLOCK, BLOCK, 1, 1]
    by_row = blocks.drop("split").group_by("row", maintain_order=True).sum()
    assert by_row["num_chars"].to_numpy() == pytest.approx(losses.documents.num_chars)
    assert by_row["spelling_nats"].to_numpy() == pytest.approx(losses.documents.spelling_nats)
    for name in ("nats", "cold_nats"):
        one = getattr(losses, name).astype(np.float64)
        starts = losses.documents.start - 1
        assert by_row[name].to_numpy() == pytest.approx(np.add.reduceat(one, starts))


def test_a_last_short_block_counts_by_its_characters():
    losses = losses_of([BLOCK + 64])

    blocks = tabulate_blocks("valid", losses)

    assert blocks["num_chars"].to_numpy() == pytest.approx(np.array([0.8, 0.2]) * losses.documents.num_chars[0])
    assert blocks["nats"][1] == pytest.approx(losses.nats[BLOCK:].sum(dtype=np.float64))


def test_positions_are_counted_from_one_in_bins_that_double():
    place = np.array([0, 1, 2, 3, 4, 0, 1])
    nats = np.array([6.0, 4, 3, 2, 1, 8, 2])

    assert bin_by_position(place, nats) == [
        {"first": 1, "last": 1, "nats_per_token": 7.0, "num_tokens": 2},
        {"first": 2, "last": 3, "nats_per_token": 3.0, "num_tokens": 3},
        {"first": 4, "last": 5, "nats_per_token": 1.5, "num_tokens": 2},
    ]


def test_positions_in_cold_windows_begin_anew_every_256_tokens(tmp_path):
    losses = {split: losses_of([BLOCK + 2, 5]) for split in ("valid", "test")}

    write_losses(tmp_path, losses)

    positions = json.loads((tmp_path / POSITIONS_FILE).read_text())["test"]
    assert [one["num_tokens"] for one in positions["cold"]][:2] == [3, 5]
    assert [one["num_tokens"] for one in positions["stateful"]][:2] == [2, 4]
    assert positions["stateful"][-1] == {
        "first": 256, "last": 258, "num_tokens": 3,
        "nats_per_token": pytest.approx(losses["test"].nats[255:258].mean(dtype=np.float64)),
    }  # fmt: skip
    assert pl.read_parquet(tmp_path / SCORES_FILE)["split"].to_list() == ["valid"] * 3 + ["test"] * 3
