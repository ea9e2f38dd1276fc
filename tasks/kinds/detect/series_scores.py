"""How well each series was judged, and what that comes to over all of them: everything that takes labels.

Anomalies are few and the rows of one belong together, so intervals come from drawing whole series. S series.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.kinds.detect.measuring import LabelledSurprise, measure_ranking, score_series
from tasks.kinds.detect.nab import Profile
from tasks.kinds.forecast.metrics import Bootstrap
from tasks.statistics.intervals import Interval, share_with_interval
from tasks.statistics.resampling import ResamplingPlan

RANKINGS = ("auc_pr", "vus_pr")
NAB = "nab"
BY_SERIES = (*RANKINGS, NAB)

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """What series are measured by: the weights of the NAB score, and how near to an anomaly is near for VUS-PR."""

    profile: Profile
    buffer_rows: int


def describe_series(series: LabelledSurprise, threshold: float, yardstick: Yardstick) -> dict:
    """JSON value: rows, events and the highest score; what needs labels is None where no judged row has one."""
    judged = series.surprise[series.warm_up_rows :]
    record = {
        "name": series.name,
        "rows": len(series.surprise),
        "judged": len(judged),
        "events": len(series.find_events(threshold)),
        "peak": float(judged.max()),
        "labelled": int(series.is_scored.sum()),
    }
    names = ("windows", "found", "false_alarms", "raw", *RANKINGS)
    if not record["labelled"]:
        return record | dict.fromkeys(names)
    score = score_series(series, threshold, yardstick.profile)
    ranking = measure_ranking(series, yardstick.buffer_rows)
    figures = [score.windows, score.found, score.false_alarms, score.raw, ranking.auc_pr, ranking.vus_pr]
    return record | {name: None if np.isnan(one) else one for name, one in zip(names, figures, strict=True)}


def measure_series(records: Sequence[Record], profile: Profile, bootstrap: Bootstrap) -> dict[str, Interval]:
    """Means of AUC-PR and VUS-PR over the series with an anomaly, the NAB score, and the share of windows found.

    A metric that the labels leave undefined is absent.
    """
    labelled = [record for record in records if record["labelled"]]
    bounded = {metric: bound_series(*add_up(labelled, metric, profile), bootstrap) for metric in BY_SERIES}
    found, windows = (sum(record[name] for record in labelled) for name in ("found", "windows"))
    if windows:
        bounded["found"] = share_with_interval(found, windows, bootstrap.confidence)
    return {metric: interval for metric, interval in bounded.items() if interval is not None}


def compare_series(
    records: Sequence[Record], others: Sequence[Record], metric: str, *, profile: Profile, bootstrap: Bootstrap
) -> Interval | None:
    """How much higher a metric is than another detector's on the same series, drawn in pairs; None if undefined."""
    total, count = add_up(records, metric, profile)
    other_total, other_count = add_up(others, metric, profile)
    names = [[record["name"] for record in some] for some in (records, others)]
    assert names[0] == names[1], "evaluations of different series cannot be paired"
    assert (count == other_count).all(), "evaluations of different labels cannot be paired"
    return bound_series(total - other_total, count, bootstrap)


def add_up(records: Sequence[Record], metric: str, profile: Profile) -> tuple[NDArray, NDArray]:
    """What each series adds to the numerator and to the denominator of a metric: float64 [S] each."""
    if metric != NAB:
        values = np.array([np.nan if record[metric] is None else record[metric] for record in records], np.float64)
        return np.nan_to_num(values), (~np.isnan(values)).astype(np.float64)
    raw, windows = (np.array([record[name] or 0 for record in records], np.float64) for name in ("raw", "windows"))
    # From 0 for detecting nothing to 100 for detecting all at once.
    return 100 * (raw + profile.false_negative * windows), (1 + profile.false_negative) * windows


def bound_series(total: NDArray, count: NDArray, bootstrap: Bootstrap) -> Interval | None:
    """Bound a ratio of sums by drawing series; None where nothing counts."""
    if not count.any():
        return None
    plan = ResamplingPlan(by="series", unit_of_window=np.arange(len(count)), num_units=len(count), overlap=0)
    (interval,) = bootstrap.bound_ratios(total[:, None], count[:, None], plan)
    return interval
