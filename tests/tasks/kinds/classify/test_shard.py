import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.kinds.classify.recipe import CLASSIFY, ShardSettings
from tasks.labelled.buckets import choose_widths, fill_of
from tasks.shard import shard
from tasks.store import artefacts
from tasks.store.manifest import Summary


def make_encoded(num_rows: int = 300, *, longest: int = 60, vocabulary_size: int = 500) -> artefacts.Artefact:
    rng = np.random.default_rng(4)

    def write(folder: Path) -> dict:
        first_row = 0
        for split, size in {"train": num_rows, "valid": 20, "test": 30}.items():
            tokens = [
                rng.integers(1, vocabulary_size, rng.integers(1, longest + 1)).astype(np.uint16) for _ in range(size)
            ]
            frame = pl.DataFrame(
                {
                    "row": np.arange(first_row, first_row + size, dtype=np.uint32),
                    "target": np.sort(rng.integers(0, 2, size)).astype(np.uint16),
                    "tokens": pl.Series(tokens, dtype=pl.List(pl.UInt16)),
                }
            )
            frame.write_parquet(folder / f"{split}.parquet")
            first_row += size
        return Summary.model_validate({"rows": first_row, "vocabulary_size": vocabulary_size, "labels": ["neg", "pos"]})

    return artefacts.build(
        "encode", write, module="tasks.store.artefacts", config={"rows": num_rows, "longest": longest}
    )


def read_shards(artefact: artefacts.Artefact, split: str) -> pl.DataFrame:
    tables = [
        pa.ipc.open_file(artefact.file(name)).read_all()
        for name in artefact.manifest["files"]
        if name.startswith(f"{split}-")
    ]
    return pl.concat(
        [
            pl.DataFrame(
                {
                    "row": table["row"].to_numpy(),
                    "target": table["target"].to_numpy(),
                    "length": table["length"].to_numpy(),
                    "padded": pl.Series(table["tokens"].to_pylist(), dtype=pl.List(pl.UInt16)),
                }
            )
            for table in tables
        ]
    )


def cheapest_cover(lengths: list[int], counts: list[int], num_widths: int) -> int:
    """Padded tokens of the best choice of widths, by trying them all."""
    best = []
    for size in range(1, min(num_widths, len(lengths)) + 1):
        for widths in itertools.combinations(lengths, size):
            if widths[-1] == lengths[-1]:
                holding = [min(width for width in widths if width >= length) for length in lengths]
                best.append(int(np.dot(holding, counts)))
    return min(best)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.integers(1, 40), st.integers(1, 30), min_size=1, max_size=7),
    st.integers(1, 5),
)
def test_chosen_widths_pad_least(histogram: dict[int, int], num_widths: int):
    lengths, counts = (np.array(column) for column in zip(*sorted(histogram.items()), strict=True))

    widths = choose_widths(lengths, counts, num_widths)

    assert len(widths) <= num_widths
    padded = (lengths * counts).sum() / fill_of(lengths, counts, widths)
    assert round(padded) == cheapest_cover(lengths.tolist(), counts.tolist(), num_widths)


def test_many_distinct_lengths_are_put_on_a_grid_first():
    lengths = np.arange(1, 10_001)

    widths = choose_widths(lengths, np.ones(10_000), 4)

    assert widths[-1] == 10_000
    assert fill_of(lengths, np.ones(10_000), widths) > 0.79  # 0.8 is the optimum for even lengths


def test_every_row_is_stored_once_with_its_tokens_and_zeros():
    encoded = make_encoded()
    artefact = shard.fn(CLASSIFY, encoded, ShardSettings(num_widths=4))

    for split in ("train", "valid", "test"):
        source = pl.read_parquet(encoded.file(f"{split}.parquet"))
        stored = read_shards(artefact, split).sort("row")
        assert stored.select("row", "target").equals(source.select("row", "target"))
        for length, padded, tokens in zip(stored["length"], stored["padded"], source["tokens"], strict=True):
            assert padded.to_list() == tokens.to_list() + [0] * (len(padded) - length)
            assert length == len(tokens)


def test_rows_are_stored_in_random_order():
    artefact = shard.fn(CLASSIFY, make_encoded(2000), ShardSettings(num_widths=1))

    targets = read_shards(artefact, "train")["target"].to_numpy()

    assert 0.3 < targets[:200].mean() < 0.7  # the source is sorted by target


def test_longer_rows_are_cut_and_counted():
    artefact = shard.fn(CLASSIFY, make_encoded(), ShardSettings(max_length=20, keep="tail"))

    assert read_shards(artefact, "train")["length"].max() == 20
    assert artefact.summary["truncated"]["train"] > 100
    assert artefact.summary["widths"][-1] == 20


def test_the_widest_bucket_holds_the_longest_row_of_any_split():
    artefact = shard.fn(CLASSIFY, make_encoded(3), ShardSettings(num_widths=2))

    longest = max(read_shards(artefact, split)["length"].max() for split in ("train", "valid", "test"))
    assert artefact.summary["widths"][-1] == longest


def test_one_seed_gives_one_order():
    encoded = make_encoded()
    with artefacts.refreshing(True):
        digests = {shard.fn(CLASSIFY, encoded, ShardSettings(seed=seed)).digest for seed in (1, 1, 2)}

    assert len(digests) == 2


@pytest.mark.parametrize("num_widths", [1, 3, 16])
def test_fill_grows_with_the_number_of_widths(num_widths: int):
    fill = shard.fn(CLASSIFY, make_encoded(), ShardSettings(num_widths=num_widths)).summary["fill"]["train"]

    assert {1: 0.4, 3: 0.7, 16: 0.9}[num_widths] < fill <= 1
