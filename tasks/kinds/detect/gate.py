"""What stage `gate` needs of detectors: their forecasters on the newest test rows, which neither has learned from.

Labels do not decide. When a model is trained again they are rarely there, and where they are, the anomalies of some
weeks are too few to tell two detectors apart. Ordinary rows are many; so what is promoted is a better forecaster of
these, which is not proved to be a better detector. Errors are absolute ones of levels, which a few anomalies hardly
move.
"""

from collections.abc import Iterator

import polars as pl

from tasks.errors import quoted
from tasks.kinds.detect.scoring import DetectionHoldout, read_holdout, score_model
from tasks.kinds.detect.served_detector import SeriesDetector
from tasks.kinds.detect.serving import KIND
from tasks.kinds.detect.summaries import WarmUpSummary
from tasks.kinds.forecast.gate import compare_scores
from tasks.panel.frames import ROWS_FILE, TEST
from tasks.promotion.decision import refuse_differences
from tasks.promotion.verdicts import Case
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import read_serving_fields

__all__ = ["compare_scores", "read_holdout", "refuse_incomparable", "score_model"]


def refuse_incomparable(case: Case[DetectionHoldout]) -> None:
    """Raise NotComparable if the champion judges something else, or has learned from the test rows."""
    refuse_differences(case, find_differences)


def find_differences(model: RegisteredModel, holdout: DetectionHoldout) -> Iterator[tuple[str, str]]:
    """Yield why a champion cannot be compared on test rows, each with a remedy; the first is not to be passed over.

    Raises IntegrityError (E-INT-001) if a file of the model is damaged.
    """
    kind = read_serving_fields(model.parts)["kind"]
    if kind != KIND:
        yield f"is of kind {kind}", "set registry.model_name to an unused name"
    champion = SeriesDetector.load(model.parts)
    yield from _find_other_targets(champion, holdout)
    yield from _find_learned_rows(champion, holdout)


def _find_other_targets(champion: SeriesDetector, holdout: DetectionHoldout) -> Iterator[tuple[str, str]]:
    horizon, channels, others = champion.model.shape.horizon, champion.serving.channels, holdout.scaler.channels
    if horizon != holdout.horizon:
        yield (
            f"forecasts a row from {horizon} rows before, and the challenger from {holdout.horizon}",
            f"set shard.horizon to {horizon}",
        )
    if set(channels) != set(others):
        own, other = (", ".join(map(quoted, sorted(names))) for names in (channels, others))
        yield f"monitors {own}, and the challenger {other}", "use the same source.value_columns"
    clock, other = champion.serving.clock, WarmUpSummary.of(holdout.splits).clock
    if clock != other:
        yield f"reads times as {clock}, and the challenger as {other}", "provide rows with times of the same kind"


def _find_learned_rows(champion: SeriesDetector, holdout: DetectionHoldout) -> Iterator[tuple[str, str]]:
    test = pl.scan_parquet(holdout.splits.file(ROWS_FILE)).filter(pl.col("split") == TEST)
    begins = test.group_by("series").agg(first=pl.col("time").min(), begin=pl.col("time").min().cast(pl.Int64))
    for series, first, begin in begins.sort("series").collect().iter_rows():
        learned = champion.serving.series.get(series)
        if learned is not None and learned.until >= begin:
            yield (
                f"was trained on rows of series {quoted(series)} that are test rows now; these begin at {first}",
                "raise split.warm_up",
            )
