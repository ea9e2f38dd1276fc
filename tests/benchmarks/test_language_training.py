"""Contenders that train one language model in different ways, and what is said of their speeds."""

from pathlib import Path

import pytest

from benchmarks.language_contenders import CONTENDERS, PRODUCTS, RNNFLOW, TORCH, Setup
from benchmarks.language_training import contender_table, share_of_products


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be, that is the question. " * 40, encoding="utf-8")
    return Setup(str(text), hidden_size=8, num_rows=4, num_steps=6)


@pytest.mark.parametrize("name", [name for name, one in CONTENDERS.items() if one.modules == TORCH])
def test_every_torch_contender_trains_when_it_is_told_to(setup: Setup, name: str) -> None:
    work = CONTENDERS[name].start(setup)
    assert work(0.01)["chars_per_s"] > 0
    assert work(0.01)["chars_per_s"] > 0


def test_ids_follow_the_characters(setup: Setup) -> None:
    ids = setup.read_ids()
    assert len(ids) == 42 * 40
    assert ids.min() == 2
    assert (ids[:42] == ids[42:84]).all()


def test_speeds_are_compared_round_by_round() -> None:
    speeds = {RNNFLOW: [100.0, 200.0, 300.0], "keras": [50.0, 50.0, 100.0], PRODUCTS: [200.0, 400.0, 1200.0]}
    table = contender_table(speeds)
    assert "| keras | 50 (50 to 100) | 4.00 | 3.00 (2.00 to 4.00) |" in table
    assert PRODUCTS not in table
    assert share_of_products(speeds) == "Share of plain products: 0.50 (0.25 to 0.50)"
