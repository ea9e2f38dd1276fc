import math
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from tasks.text.spelling import NUM_CODE_POINTS, Speller

TOKENS = {"the": 5, "cat": 2, "a": 3}


def brute_force(token: str) -> float:
    """A unigram of characters and an end symbol, with one added for each kind of character and the unseen ones."""
    counts = Counter(character for word, count in TOKENS.items() for character in word * count)
    ends = sum(TOKENS.values())
    total = sum(counts.values()) + ends + len(counts) + 2
    nats = -math.log((ends + 1) / total)
    for character in token:
        unseen = 1 / total / (NUM_CODE_POINTS - len(counts))
        nats -= math.log((counts[character] + 1) / total if counts[character] else unseen)
    return nats


@pytest.fixture
def speller() -> Speller:
    return Speller.learn(pl.DataFrame({"token": list(TOKENS), "count": list(TOKENS.values())}))


def test_spelling_costs_what_a_unigram_of_characters_says(speller: Speller):
    tokens = ["hat", "t", "é", "the🎉", "acatt"]

    assert speller.nats_of(pl.Series(tokens)).to_list() == pytest.approx(list(map(brute_force, tokens)))


def test_all_that_may_follow_has_a_probability_of_one(speller: Speller):
    seen = [-speller.nats_of(pl.Series([character])).item() for character in "theca"]
    end = -speller.nats_of(pl.Series([""])).item()
    unseen = -speller.nats_of(pl.Series(["é"])).item() - end + math.log(NUM_CODE_POINTS - len(speller.counts))

    assert sum(math.exp(nats - end) for nats in seen) + math.exp(end) + math.exp(unseen) == pytest.approx(1)


def test_a_stored_speller_costs_the_same(speller: Speller, tmp_path: Path):
    speller.save(tmp_path / "spelling.json")

    assert Speller.load(tmp_path / "spelling.json") == speller
