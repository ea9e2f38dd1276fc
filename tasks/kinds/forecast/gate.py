"""What stage `gate` needs of forecasters: both on the newest test windows, which neither of them has learned from.

Time moves on, so the champion need not have been decided on the same rows; it must only have learned from earlier ones.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import polars as pl

from tasks.errors import quoted
from tasks.kinds.forecast.forecaster import SeriesForecaster
from tasks.kinds.forecast.holdout import ForecastHoldout, read_holdout
from tasks.kinds.forecast.promotion import ForecastPromotionSettings
from tasks.kinds.forecast.scoring import LOSSES, ForecastScores, score_model
from tasks.kinds.forecast.serving import KIND, Serving
from tasks.kinds.forecast.split import read_cut
from tasks.kinds.forecast.summaries import CutSummary
from tasks.panel.frames import ROWS_FILE
from tasks.panel.time_grid import TimeGrid
from tasks.promotion.comparison import Comparison, percent
from tasks.promotion.decision import NotComparable, refuse_differences
from tasks.promotion.settings import GateSettings
from tasks.promotion.verdicts import Case
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import read_serving_fields
from tasks.statistics.paired_tests import diebold_mariano_p_value

__all__ = ["compare_scores", "read_holdout", "refuse_incomparable", "score_model"]

# An error below this, in scaled units, counts as this much, so that gains over a perfect forecast are finite.
LEAST_ERROR = 1e-12
PLACE = ["row", "part", "channel"]
# This many months show whether two calendars agree.
STEPS_COMPARED = 13


@dataclass(frozen=True, kw_only=True)
class ForecastComparison(Comparison):
    """Two forecasters on the same windows; slices are channels and parts of the horizon, with the error of each."""

    metrics: ClassVar[tuple[str, ...]] = LOSSES
    falls_short: ClassVar[str] = "has a larger error than"

    metric: str

    def gain_over(self, other: dict, metric: str) -> float:
        """How much smaller the challenger's error is, as a share of the other one's."""
        return relative_gain(other[metric], self.challenger[metric])

    def show(self, figures: dict, metric: str) -> str:
        """One model's score, as it is written in a sentence."""
        return f"{metric.upper()} {figures[metric]:.4g}"

    def show_gain(self, gain: float, metric: str) -> str:  # noqa: ARG002 (shares have no unit)
        """A share in percent."""
        return percent(gain)

    def describe_evidence(self, metric: str) -> str:
        """Windows, and how much smaller the error is on them."""
        return f"{self.rows:,} windows; a gain of {percent(self.gain(metric))}"

    def object_to_slice(self, part: dict, settings: GateSettings) -> Iterator[str]:
        """Yield a sentence if the error grows too much on a channel or a part of the horizon."""
        if relative_gain(part["champion"], part["challenger"]) < -settings.max_slice_drop:
            yield (
                f"On {part['rows']:,} windows ({part['by']}: {part['slice']}) it has {self.metric.upper()} "
                f"{part['challenger']:.4g} against {part['champion']:.4g}, which is more than "
                f"{percent(settings.max_slice_drop)} worse."
            )


def relative_gain(before: float, after: float) -> float:
    """By which share of itself an error falls; negative where it grows."""
    return (before - after) / max(before, LEAST_ERROR)


def compare_scores(
    champion: ForecastScores,
    challenger: ForecastScores,
    holdout: ForecastHoldout,
    *,
    anchor: dict,
    settings: ForecastPromotionSettings,
) -> ForecastComparison:
    """Compare two models on the windows that both can forecast; an `anchor` in another unit does not count.

    Raises NotComparable if there is no such window.
    """
    champion, challenger = _keep_shared(champion, challenger), _keep_shared(challenger, champion)
    paired = pair_errors(champion, challenger, settings.metric)
    if paired.is_empty():
        raise NotComparable(
            f"refused: champion v{champion.version} and v{challenger.version} have no test window in common that is "
            "free of gaps and whose values are known.",
            "Fix: fill the gaps of the test rows, or train with a lower shard.look_back.",
        )
    is_anchor = anchor.get("unit") == champion.figures["unit"]
    return ForecastComparison(
        metric=settings.metric,
        rows=paired["row"].n_unique(),
        champion=champion.figures,
        challenger=challenger.figures,
        anchor=anchor if is_anchor else champion.figures,
        p_value=measure_chance(paired, holdout),
        slices=[*_compare_channels(paired), *_compare_parts(paired, holdout.edges)],
    )


def _keep_shared(scores: ForecastScores, others: ForecastScores) -> ForecastScores:
    return replace(scores, errors=scores.errors.join(others.errors, on=PLACE, how="semi"))


def pair_errors(champion: ForecastScores, challenger: ForecastScores, metric: str) -> pl.DataFrame:
    """Errors of both side by side, of values that are known: columns as in ERRORS, and champion and challenger."""
    theirs = challenger.errors.select(*PLACE, challenger=metric)
    paired = champion.errors.rename({metric: "champion"}).join(theirs, on=PLACE, validate="1:1")
    return paired.filter(pl.col("steps") > 0)


def measure_chance(paired: pl.DataFrame, holdout: ForecastHoldout) -> float:
    """Chance that forecasts of equal worth differ this much or more in the challenger's favour."""
    mean_gain = (pl.col("champion") - pl.col("challenger")).sum() / pl.col("steps").sum()
    windows = paired.group_by("row", "series", "time").agg(gain=mean_gain).sort("row")
    plan = holdout.plan_resampling(windows)
    return diebold_mariano_p_value(plan.average(windows["gain"].to_numpy()), overlap=plan.overlap)


def _compare_channels(paired: pl.DataFrame) -> list[dict]:
    return [{"by": "channel", "slice": name, **figures} for name, figures in _compare_groups(paired, "channel")]


def _compare_parts(paired: pl.DataFrame, edges: np.ndarray) -> list[dict]:
    names = [f"{first + 1:,} to {end:,}" for first, end in itertools.pairwise(edges)]
    return [{"by": "steps", "slice": names[part], **figures} for part, figures in _compare_groups(paired, "part")]


def _compare_groups(paired: pl.DataFrame, by: str) -> list[tuple]:
    """Windows and mean errors of each group; a single one is the whole and needs no extra numbers."""
    means = (pl.col("champion", "challenger").sum() / pl.col("steps").sum()).name.keep()
    groups = paired.group_by(by).agg(means, rows=pl.col("row").n_unique()).sort(by)
    return [(group.pop(by), group) for group in groups.to_dicts()] if groups.height > 1 else []


def refuse_incomparable(case: Case[ForecastHoldout]) -> None:
    """Raise NotComparable if the champion forecasts something else, or may have learned from the test rows."""
    refuse_differences(case, find_differences)


def find_differences(model: RegisteredModel, holdout: ForecastHoldout) -> Iterator[tuple[str, str]]:
    """Yield why a champion cannot be compared on test windows, each with a remedy; the first is not to be passed over.

    Raises IntegrityError (E-INT-001) if a file of the model is damaged.
    """
    kind = read_serving_fields(model.parts)["kind"]
    if kind != KIND:
        yield f"is of kind {kind}", "set registry.model_name to an unused name"
    champion = SeriesForecaster.load(model.parts)
    yield from _find_other_targets(champion, holdout)
    yield from _find_unfit_rows(champion.serving, holdout)


def _find_other_targets(champion: SeriesForecaster, holdout: ForecastHoldout) -> Iterator[tuple[str, str]]:
    horizon, channels = champion.model.shape.horizon, champion.serving.channels
    if horizon != holdout.horizon:
        yield f"forecasts {horizon} steps, and the challenger {holdout.horizon}", f"set shard.horizon to {horizon}"
    if set(channels) != set(holdout.channels):
        names, others = (", ".join(map(quoted, sorted(names))) for names in (channels, holdout.channels))
        yield f"forecasts {names}, and the challenger {others}", "forecast the same source.value_columns"
    if not _have_same_steps(champion.grid, holdout.grid):
        step, other = (f"{grid.frequency} ({grid.clock})" for grid in (champion.grid, holdout.grid))
        yield f"has steps of {step}, and the challenger has steps of {other}", "provide rows with the same steps"


def _find_unfit_rows(served: Serving, holdout: ForecastHoldout) -> Iterator[tuple[str, str]]:
    given = pl.read_parquet_schema(holdout.splits.file(ROWS_FILE))
    unknown = [name for name in served.covariates if f"known.{name}" not in given]
    if unknown:
        names = ", ".join(map(quoted, unknown))
        yield f"reads {names}, which the test rows do not have", "name it in source.covariate_columns"
    learned, begin = (str(cuts["valid_until"]) for cuts in (served.cuts, CutSummary.of(holdout.splits).cuts))
    if read_cut(learned, "valid_until", holdout.grid) > read_cut(begin, "valid_until", holdout.grid):
        yield (
            f"was trained on rows before {learned}, but the test rows begin at {begin}",
            f"let split.valid_until be {learned} or later",
        )


def _have_same_steps(grid: TimeGrid, other: TimeGrid) -> bool:
    if grid.clock != other.clock:
        return False
    steps = pl.Series(range(STEPS_COMPARED), dtype=pl.Int64)
    return replace(grid, anchor=other.anchor, zone=other.zone).times(steps).equals(other.times(steps))
