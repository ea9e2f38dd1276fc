"""Rolling origins: where the cut-offs fall, and what they add up to."""

import pytest

from tasks.contract.contest import Contest
from tasks.contract.lineage import Lineage
from tasks.errors import InputError
from tasks.kinds.forecast.backtesting import plan_cutoffs, summarize_cutoffs, tabulate_cutoff


def test_cutoffs_divide_the_test_period_and_move_training_along(loads: tuple[Lineage, Contest], monkeypatch):
    lineage, _ = loads

    plan = plan_cutoffs(lineage.rows, lineage.splits, 3)

    cuts = lineage.splits.summary["cuts"]
    assert [one.valid_until for one in plan] == ["2024-03-17T00:00:00Z", "2024-03-18T08:00:00Z", "2024-03-19T16:00:00Z"]
    assert plan[0].train_until == cuts["train_until"]
    assert plan[1].train_until > plan[0].train_until
    assert [one.test_until for one in plan[:-1]] == [one.valid_until for one in plan[1:]]
    assert plan[-1].test_until == "2024-03-21T00:00:00Z"


def test_more_cutoffs_than_steps_are_refused(loads: tuple[Lineage, Contest]):
    lineage, _ = loads

    with pytest.raises(InputError) as caught:
        plan_cutoffs(lineage.rows, lineage.splits, 100)

    assert str(caught.value) == (
        "E-SER-013 the test period has 96 steps, expected at least one for each of 100 cut-offs.\n"
        "Fix: lower the number of cut-offs, or raise split.test."
    )


def test_models_are_ranked_by_their_mean_over_the_cutoffs(loads: tuple[Lineage, Contest]):
    lineage, contest = loads
    plan = plan_cutoffs(lineage.rows, lineage.splits, 2)
    records = [record for settings in plan for record in tabulate_cutoff(settings, contest.everyone)]

    summary = summarize_cutoffs(records, "mse")

    assert {row["model"] for row in summary} == {one.name for one in contest.everyone}
    assert [row["mean"] for row in summary] == sorted(row["mean"] for row in summary)
    assert all(len(row["values"]) == 2 and row["spread"] == 0 for row in summary)
