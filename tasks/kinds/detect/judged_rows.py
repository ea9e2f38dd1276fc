"""The rows of validation and test, and what a model made of them: series by series, each up to the end of the split.

N rows, C channels; the rows of a split follow each other as they do in the table of levels.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.kinds.detect.detection_metrics import find_anomalies
from tasks.kinds.detect.encode import LEVELS_FILE
from tasks.kinds.detect.events import count_gap_rows
from tasks.kinds.detect.measuring import LabelledSurprise
from tasks.panel.frames import TEST, TRAIN
from tasks.statistics.resampling import ResamplingPlan, plan_resampling
from tasks.store.artefacts import Artefact

UNKNOWN = -1


@dataclass(frozen=True, kw_only=True)
class Extent:
    """Where a series begins in the table of levels, and how many of its rows are training, warm-up and all."""

    name: str
    first: int
    train: int
    warm_up: int
    rows: int

    def limits(self, split: str) -> tuple[int, int]:
        """The first row of the series that belongs to validation or test, and the one after the last."""
        return {"valid": (self.train, self.warm_up), "test": (self.warm_up, self.rows)}[split]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Every row: its time, its level [N, C], and its label: 1 anomalous, 0 ordinary, -1 unknown [N]."""

    extents: tuple[Extent, ...]
    times: pl.Series
    levels: NDArray[np.float32]
    labels: NDArray[np.int8]

    @classmethod
    def read(cls, encoded: Artefact) -> "Panel":
        """Read the table of levels."""
        table = pl.read_parquet(encoded.file(LEVELS_FILE), columns=["series", "time", "label", "split", "^level\\..*$"])
        return cls(
            extents=tuple(_find_extents(table)),
            times=table["time"],
            levels=table.select("^level\\..*$").to_numpy(order="c"),
            labels=table["label"].cast(pl.Int8).fill_null(UNKNOWN).to_numpy(),
        )


def _find_extents(table: pl.DataFrame) -> Iterator[Extent]:
    split = pl.col("split")
    counts = table.group_by("series", maintain_order=True).agg(
        train=(split == TRAIN).sum(), warm_up=(split != TEST).sum(), rows=pl.len()
    )
    first = 0
    for name, train, warm_up, rows in counts.iter_rows():
        yield Extent(name=name, first=first, train=train, warm_up=warm_up, rows=rows)
        first += rows


@dataclass(frozen=True, kw_only=True)
class Detector:
    """What a model says of every row: its level `horizon` rows before [N, C], and the score of what came [N]."""

    forecasts: NDArray[np.float32]
    surprise: NDArray[np.float64]
    threshold: float
    gap_share: float
    num_evidence: int

    @classmethod
    def read(cls, model: Artefact, panel: Panel) -> "Detector":
        """Read what a model left, which must tell of each row once."""
        forecasts, surprise = (np.load(model.file(name)) for name in ("forecasts.npy", "surprise.npy"))
        assert forecasts.shape == panel.levels.shape, f"{model.path} does not forecast each row once"
        assert surprise.shape == panel.labels.shape, f"{model.path} does not judge each row once"
        assert np.isfinite(forecasts).all(), "a model may not forecast infinite or undefined levels"
        assert np.isfinite(surprise).all(), "anomaly scores may not be infinite or undefined"
        told = json.loads(model.file("detector.json").read_bytes())
        return cls(forecasts=forecasts, surprise=surprise, **told)


@dataclass(frozen=True, kw_only=True)
class JudgedSplit:
    """The rows of a split that a detector judged; `series` are those with rows there, as they stand at its end.

    `errors` is the mean absolute error of the forecast levels of each row [N], `distances` that of always forecasting
    level 0, the training median, and `times` when it was.
    """

    series: tuple[LabelledSurprise, ...]
    threshold: float
    errors: NDArray[np.float64]
    distances: NDArray[np.float64]
    times: pl.Series
    plan: ResamplingPlan

    @cached_property
    def surprise(self) -> NDArray[np.float64]:
        """Anomaly score of each row [N]."""
        return self._gather(lambda one: one.surprise)

    @cached_property
    def is_known(self) -> NDArray[np.bool_]:
        """Whether each row has a label [N]."""
        return self._gather(lambda one: one.is_scored)

    @cached_property
    def is_alarm(self) -> NDArray[np.bool_]:
        """Whether an event begins with each row [N]."""
        return self._gather(lambda one: one.alarm(self.threshold).scores > 0)

    @cached_property
    def is_anomalous(self) -> NDArray[np.bool_]:
        """Whether each row is labelled anomalous [N]."""
        return self._gather(lambda one: one.labels)

    def tabulate_events(self) -> pl.DataFrame:
        """Every event: series, times of its first row, its last one and its peak, score there.

        `is_true` says whether its alarm rang in a true window; it is null where that is unknown.
        """
        first, records = 0, []
        for one in self.series:
            for event in one.find_events(self.threshold):
                rows = {"first": event.start, "last": event.end, "peak": event.peak}
                times = {name: self.times[first + row - one.warm_up_rows] for name, row in rows.items()}
                is_true = bool(one.labels[event.start]) if one.is_scored[event.start] else None
                records.append({"series": one.name, **times, "surprise": event.surprise, "is_true": is_true})
            first += len(one.surprise) - one.warm_up_rows
        time = self.times.dtype
        schema = {"series": pl.String, "first": time, "last": time, "peak": time, "surprise": pl.Float64}
        return pl.DataFrame(records, {**schema, "is_true": pl.Boolean})

    def _gather(self, column_of: Callable[[LabelledSurprise], NDArray]) -> NDArray:
        return np.concatenate([column_of(one)[one.warm_up_rows :] for one in self.series])


def judge_split(split: str, panel: Panel, detector: Detector, *, horizon: int) -> JudgedSplit:
    """Take what a detector made of the rows of a split; its events begin with the split, so that none is of before."""
    extents = [one for one in panel.extents if range(*one.limits(split))]
    positions = [np.arange(*one.limits(split)) for one in extents]
    rows = np.concatenate([one.first + of_series for one, of_series in zip(extents, positions, strict=True)])
    levels = panel.levels[rows].astype(np.float64)
    series_of_row = np.repeat(np.arange(len(extents)), [len(of_series) for of_series in positions])
    # Forecasts of rows up to a horizon apart share their errors, as windows do that overlap.
    plan = plan_resampling(series_of_row, np.concatenate(positions), horizon=horizon, stride=1)
    return JudgedSplit(
        series=tuple(_judge_series(one, split, panel, detector) for one in extents),
        threshold=detector.threshold,
        errors=np.abs(levels - detector.forecasts[rows]).mean(axis=1),
        distances=np.abs(levels).mean(axis=1),
        times=panel.times[rows],
        plan=plan,
    )


def _judge_series(extent: Extent, split: str, panel: Panel, detector: Detector) -> LabelledSurprise:
    begin, end = extent.limits(split)
    rows = slice(extent.first, extent.first + end)
    labels = panel.labels[rows]
    return LabelledSurprise(
        name=extent.name,
        surprise=detector.surprise[rows],
        windows=tuple((int(first), int(last)) for first, last in find_anomalies(labels == 1)),
        warm_up_rows=begin,
        gap_rows=count_gap_rows(detector.gap_share, extent.warm_up),
        is_known=labels != UNKNOWN,
    )
