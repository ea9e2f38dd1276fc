"""The benchmark of promotion counts what it says it counts."""

from benchmarks import promotion
from benchmarks.promotion_workers import quality_of
from benchmarks.simulated_retraining import Career
from tasks.promotion import ledger


def test_shares_are_shown_with_their_counts():
    careers = [Career(1, 0.9, 0.8, 0.8, 0.1), Career(0, 0.9, 0.9, 0.8, 0.1)]

    assert promotion.percent_of(careers) == "50.00 % (1 of 2)"
    assert promotion.percent_of(careers, lost=True) == "50.00 % (1 of 2)"


def test_a_race_over_the_ledger_is_won_by_the_best():
    assert promotion.race_row(2, 3) == ["ledger, 2 at once", "3", "0", "0"]
    assert [len(ledger.read_entries(f"race-{number}")) for number in range(3)] == [2, 2, 2]


def test_every_round_of_a_race_has_one_best():
    assert sorted(quality_of(str(version), 5) for version in range(1, 10)) == list(range(-1, 8))
    assert len({promotion.best_of_race(8, number) for number in range(30)}) > 4
