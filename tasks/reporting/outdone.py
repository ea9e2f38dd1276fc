"""Baselines that are better on test than the model that validation chose."""

from typing import TYPE_CHECKING

from tasks.contract.contest import Contest, Scored
from tasks.contract.presentation import ScoreColumn

if TYPE_CHECKING:
    from tasks.contract.stages import ReportModule


def describe_outdone(contest: Contest, presenting: "ReportModule") -> list[str]:
    """Say which baselines are better on test than the chosen candidate in a headline metric, and by how much.

    Test decides nothing; but a reader who sees only what won on validation would take the network for better.
    """
    shown: dict[str, list[str]] = {}
    for column in presenting.PRESENTATION.headline:
        better = _find_better(contest, column)
        if better is not None:
            shown.setdefault(better.name, []).append(_compare(contest, presenting, better, column))
    outdone = presenting.PRESENTATION.outdone
    return [f"The baseline {name} {outdone} {contest.best.name}: {', '.join(told)}." for name, told in shown.items()]


def _find_better(contest: Contest, column: ScoreColumn) -> Scored | None:
    """The best baseline by a metric on test, if it is better than the chosen candidate."""
    sign = -1 if column.metric in contest.settings.higher_is_better else 1
    penalties = {
        scored: sign * scored.test[column.metric]["value"]
        for scored in (contest.best, *contest.baselines)
        if column.ranks and column.metric in scored.test
    }
    if contest.best not in penalties:
        return None
    best = min(penalties, key=penalties.__getitem__)
    return None if best is contest.best else best


def _compare(contest: Contest, presenting: "ReportModule", baseline: Scored, column: ScoreColumn) -> str:
    """Both estimates, and the paired difference where the report has measured it: that to the best by validation."""
    told = column.compare(baseline.test, contest.best.test)
    if baseline is not contest.baseline or column.metric != presenting.compare_by(contest):
        return told
    gain = column.show_difference(presenting.compare_with_baseline(contest))
    return f"{told} (paired gain of {contest.best.name} {gain})"
