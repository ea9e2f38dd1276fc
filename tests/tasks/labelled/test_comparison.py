"""What speaks against a challenger is found, and said in a sentence."""

import numpy as np
import polars as pl
import pytest

from tasks.labelled.gate import compare_scores
from tasks.labelled.promotion import PromotionSettings
from tasks.labelled.scoring import LabelledHoldout, Scores, log_losses
from tasks.promotion.comparison import find_objections

ROWS = 400
HOLDOUT = LabelledHoldout(
    kind="classify",
    questions=[],
    lengths=1 + np.arange(ROWS) // 4,
    length_unit="characters",
    labels=pl.Series(["neg", "pos"] * 200),
    digest="d",
)


def scores(version, wrong, loss=0.3, labels=("neg", "pos")):
    hits = np.ones(ROWS, dtype=bool)
    hits[list(wrong)] = False
    return Scores(version=version, hits=hits, losses=np.full(ROWS, loss), undefined=0, labels=labels)


def compare(champion, challenger, anchor=None, **changed):
    settings = PromotionSettings(**{"min_slice_rows": 100, "resamples": 1000, **changed})
    comparison = compare_scores(champion, challenger, HOLDOUT, anchor=anchor or {}, settings=settings)
    return comparison, find_objections(comparison, settings)


def test_a_better_challenger_meets_no_objection():
    comparison, objections = compare(scores("3", range(40)), scores("4", range(20)))

    assert (comparison.won, comparison.lost, objections) == (20, 0, [])
    assert comparison.gain("accuracy") == 0.05
    assert comparison.p_value == pytest.approx(2**-20)
    assert comparison.anchor == {"version": "3", "accuracy": 0.9, "loss": pytest.approx(0.3)}


def test_a_gain_too_small_to_matter_is_an_objection():
    _, objections = compare(scores("3", range(2)), scores("4", range(1)), min_effect=0.005)

    assert objections == ["The gain is 0.25 points, less than the minimum of 0.50 points."]


def test_a_gain_of_exactly_the_least_counts():
    assert compare(scores("3", range(2)), scores("4", range(1)), min_effect=0.0025)[1] == []


def test_a_part_that_loses_is_an_objection_however_good_the_whole():
    champion = scores("3", range(0, 200, 2))  # 100 mistakes, all on neg and short texts
    challenger = scores("4", range(1, 41, 2))  # 20 mistakes, all on pos

    _, objections = compare(champion, challenger)

    assert objections == [
        "On 200 rows (label: pos) it scores 90.00 % against 100.00 %, a loss of more than 2.00 points."
    ]


def test_a_part_with_few_rows_is_not_watched():
    champion, challenger = scores("3", range(0, 200, 2)), scores("4", range(1, 41, 2))

    assert compare(champion, challenger, min_slice_rows=201)[1] == []
    assert compare(champion, challenger, max_slice_drop=0.1)[1] == []


def test_long_texts_are_a_part_of_their_own():
    _, objections = compare(scores("3", range(60)), scores("4", range(380, 400)))

    assert objections == [
        "On 100 rows (length: 76 to 100 characters) it scores 80.00 % against 100.00 %, "
        "a loss of more than 2.00 points."
    ]


def test_quality_may_not_sink_below_the_first_champion_on_these_rows():
    anchor = {"version": "1", "accuracy": 0.96, "loss": 0.2}
    champion, challenger = scores("3", range(40)), scores("4", range(20))

    assert compare(champion, challenger, anchor)[1] == [
        "It scores below version 1, the first champion on these rows: 95.00 % against 96.00 %."
    ]
    assert compare(champion, challenger, anchor, anchor_tolerance=0.02)[1] == []


def test_log_loss_can_decide_instead():
    champion, challenger = scores("3", range(5), loss=0.4), scores("4", range(7), loss=0.3)

    comparison, objections = compare(
        champion, challenger, {"version": "1", "accuracy": 1.0, "loss": 0.2}, metric="loss"
    )

    assert comparison.gain("loss") == pytest.approx(0.1)
    assert comparison.p_value < 0.01
    assert objections == [
        "It scores below version 1, the first champion on these rows: log loss 0.3000 against log loss 0.2000."
    ]


def test_models_with_other_label_lists_are_compared_by_name():
    truth = pl.Series(["pos", "neg", "neutral"])
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [0.1, 0.9]])

    losses = log_losses(probabilities, ("neg", "pos"), truth)

    assert losses == pytest.approx([-np.log(0.5), -np.log(0.25), -np.log(1e-12)])
    assert log_losses(probabilities[:, ::-1], ("pos", "neg"), truth) == pytest.approx(losses)


def test_rows_of_labels_that_the_champion_does_not_know_are_told():
    champion = scores("3", range(0, ROWS, 2), labels=("pos",))  # right on every pos, wrong on every neg

    comparison, objections = compare(champion, scores("4", [1, 3, 5, 7, 9, 11]))

    assert comparison.notes == (
        'Champion v3 does not know "neg" (200 rows), which count as its mistakes; on the 200 others: 97.00 % against '
        "100.00 %.",
    )
    assert (comparison.won, comparison.lost) == (200, 6)
    assert objections[-1].startswith(
        "On 200 rows (labels: those the champion knows) it scores 97.00 % against 100.00 %"
    )
