"""Rows to levels: what stage `encode` does for detectors; scales come from the training rows of each series."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
import polars as pl
from pydantic import Field

from rnnmodels.config import Settings
from tasks.errors import InputError, plural, quoted
from tasks.kinds.detect.levels import LevelScale, LevelScaler, fit_scales
from tasks.kinds.detect.summaries import WarmUpSummary
from tasks.kinds.forecast.encode import CalendarFeature
from tasks.panel.frames import ROWS_FILE, SPLITS, TRAIN, VALUES, count_splits
from tasks.panel.rounding import describe_rounded, is_rounded
from tasks.panel.scaler import FILLED
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact

SCALES_FILE, LEVELS_FILE = "scales.json", "levels.parquet"


class LevelSettings(Settings):
    """What becomes of missing numbers, and which features of the calendar the forecaster reads."""

    calendar: tuple[CalendarFeature, ...] | None = Field(
        None,
        max_length=6,
        description="Calendar covariates, each encoded as a sine and a cosine. By default hour and weekday, or none "
        "if times are plain steps.",
    )
    missing: Literal["error", "forward"] = Field(
        "error",
        description="How to treat missing numbers: `forward` repeats the last one of the series, so that a row "
        "without a number is as ordinary as the one before.",
    )

    def for_clock(self, clock: str) -> Self:
        """The settings with the calendar that they mean for times on a clock."""
        if self.calendar is not None:
            return self
        return self.model_copy(update={"calendar": () if clock == "step" else ("hour", "weekday")})


def write_encoded(folder: Path, *, splits: Artefact, settings: LevelSettings) -> WarmUpSummary:
    """Write `levels.parquet`, the rows with level.<channel> and without missing numbers, and `scales.json`.

    Series without training rows are left out. Raises InputError: E-DET-003 for a channel without training numbers,
    E-SER-009 for missing numbers without a policy, E-SER-011 for a calendar without times.
    """
    found = WarmUpSummary.of(splits)
    settings = settings.for_clock(found.clock)
    if settings.calendar and found.clock == "step":
        raise InputError(
            "E-SER-011",
            f"encode.calendar names {settings.calendar[0]}, but times are plain steps.",
            fix="set encode.calendar = [], or source.time_unit to what the times count.",
        )
    rows = pl.read_parquet(splits.file(ROWS_FILE))
    scaler = fit_scaler(rows, found.channels, settings, found.zone)
    kept = rows.filter(pl.col("series").is_in(list(scaler.series)))
    parts = [level_series(part, scaler) for part in kept.partition_by("series", maintain_order=True)]
    pl.concat(parts).write_parquet(folder / LEVELS_FILE)
    (folder / SCALES_FILE).write_text(json.dumps(scaler.to_dict(), indent=1), encoding="utf-8")
    emit(Progress(stage="encode", done=kept.height, total=rows.height, finished=True))
    return WarmUpSummary(
        rows=kept.height,
        splits=count_splits(kept.lazy()),
        series=len(scaler.series),
        **found.model_dump(include={"channels", "labelled", "clock", "zone"}),
        warnings=_warnings(rows, scaler),
        problems=list(find_problems(parts, scaler)),
    )


def fit_scaler(rows: pl.DataFrame, channels: list[str], settings: LevelSettings, zone: str | None) -> LevelScaler:
    """Measure the training rows of each series."""
    training = rows.filter(pl.col("split") == TRAIN).partition_by("series", maintain_order=True)
    scales = {part["series"][0]: fit_scales(part["series"][0], part, channels) for part in training}
    return LevelScaler(
        channels=tuple(channels), missing=settings.missing, calendar=settings.calendar or (), zone=zone, series=scales
    )


def level_series(rows: pl.DataFrame, scaler: LevelScaler) -> pl.DataFrame:
    """Fill the gaps of one series' numbers, and add their levels."""
    filled = scaler.fill(rows)
    levels_NC = scaler.levels(rows["series"][0], scaler.values_of(filled))
    return filled.with_columns(
        pl.Series(f"level.{channel}", np.ascontiguousarray(levels_NC[:, index]))
        for index, channel in enumerate(scaler.channels)
    )


def find_problems(parts: Sequence[pl.DataFrame], scaler: LevelScaler) -> Iterator[str]:
    """Yield in which channels the swing of series is lost, since they lie so far from their level."""
    rounded = pl.concat([find_rounded_levels(part, scaler.series[part["series"][0]]) for part in parts])
    for (channel,), found in rounded.group_by("channel", maintain_order=True):
        yield describe_rounded(
            found["series"],
            column=channel,
            splits=[SPLITS[number] for number in found["split"].unique().sort()],
            remedy="start the series where its level changed, so that its warm-up comes after the change",
        )


def find_rounded_levels(part: pl.DataFrame, scales: dict[str, LevelScale]) -> pl.DataFrame:
    """Find the channels of a series that levels lose the swing of, in each split: columns split, channel, series."""
    restored = {
        f"value.{channel}": pl.col(f"level.{channel}").cast(pl.Float64).sinh() * scale.deviation + scale.centre
        for channel, scale in scales.items()
    }
    lost = part.group_by("split").agg(is_rounded(pl.col(name), stored).alias(name) for name, stored in restored.items())
    by_channel = lost.unpivot(index="split", variable_name="channel", value_name="is_rounded").filter("is_rounded")
    name = pl.col("channel").str.strip_prefix("value.")
    return by_channel.select("split", name, series=pl.lit(part["series"][0]))


def _warnings(rows: pl.DataFrame, scaler: LevelScaler) -> list[str]:
    num_missing = int(rows.select(pl.sum_horizontal(VALUES.null_count())).item())
    num_unscaled = rows["series"].n_unique() - len(scaler.series)
    training = rows.filter(pl.col("split") == TRAIN).group_by("series", maintain_order=True)
    still = training.agg(is_still=pl.any_horizontal(VALUES.n_unique() == 1)).filter("is_still")["series"]
    counted = {
        f"filled {plural(num_missing, 'missing number')} with {FILLED['forward']}": num_missing,
        f"{num_unscaled} series without training rows, not monitored": num_unscaled,
        f"{len(still)} series such as {quoted(still.first() or '')} are constant in a channel during training, so "
        "its levels are measured in its own unit": len(still),
    }
    return [warning for warning, count in counted.items() if count]
