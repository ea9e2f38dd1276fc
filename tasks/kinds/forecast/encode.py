"""Rows to scaled rows without missing numbers: what stage `encode` does for time series.

Whatever is fitted, scales as well as means that replace missing numbers, comes from the training rows.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import polars as pl
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from rnnmodels.config import Settings
from tasks.errors import InputError, plural, quoted
from tasks.kinds.forecast.fitting_scales import ScaledBy, describe_scales, fit_scales
from tasks.kinds.forecast.summaries import CutSummary, ScaledSummary
from tasks.panel.frames import NUMBERS, ROWS_FILE, SPLITS, bare_name, count_missing, count_splits, read_windows
from tasks.panel.rounding import describe_rounded, find_rounded
from tasks.panel.scaler import FILLED, LEAST_NUMBERS, Scaler
from tasks.panel.time_grid import TimeGrid
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact

SCALER_FILE = "scaler.json"

CalendarFeature = Literal["minute", "hour", "weekday", "day_of_month", "day_of_year", "month"]


class ScaleSettings(Settings):
    """How numbers are scaled, how missing ones are treated, and which calendar features are added."""

    method: Literal["standard", "robust", "minmax", "none"] = Field(
        "standard", description="Scale by mean and deviation, by median and quartiles, by range, or not at all."
    )
    scale: ScaledBy = Field(
        "auto",
        description="One scale per channel for all series, or one for each series; `auto` uses `series` where levels "
        "or spreads of series differ by more than a factor of 100. An unseen series is then scaled by the history "
        "given with it.",
    )
    calendar: tuple[CalendarFeature, ...] = Field(
        (), max_length=6, description="Calendar covariates, each encoded as a sine and a cosine."
    )
    missing: Literal["error", "cut", "forward", "mean"] = Field(
        "error",
        description="How to treat missing numbers: `cut` turns their rows into gaps, `forward` repeats the last one, "
        "`mean` uses the training mean.",
    )

    @model_validator(mode="after")
    def _scales_what_it_divides(self) -> Self:
        if self.method == "none" and self.scale == "series":
            raise ValueError('scale "series" has no effect with method "none"; take another method')
        return self


@dataclass
class Tally:
    """Rows written by split, rows of series without a scale, and which of the series were lost in rounding."""

    series: int = 0
    written: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    unscaled: dict[str, int] = field(default_factory=dict)
    rounded: list[pl.DataFrame] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows written in all."""
        return sum(self.written.values())


def write_encoded(folder: Path, *, splits: Artefact, settings: ScaleSettings) -> ScaledSummary:
    """Write `rows.parquet`, the scaled rows, and `scaler.json`; returns counts, covariates, warnings and problems.

    Series that have no scale of their own, where each needs one, are left out. Raises InputError: E-SER-008 for a
    column without training numbers, E-SER-009 for missing numbers without a policy, E-SER-010 for numbers that leave
    the range of floats, E-SER-011 for a calendar without times, E-SER-030 where no series has a scale.
    """
    path, found = splits.file(ROWS_FILE), CutSummary.of(splits)
    _refuse_calendar_of_steps(settings, found.grid)
    missing = {name: count_missing(pl.scan_parquet(path).filter(split=part)) for part, name in enumerate(SPLITS)}
    scales = fit_scales(path, method=settings.method, scaled_by=settings.scale)
    scaler = Scaler(settings.method, settings.missing, settings.calendar, found.grid.zone, scales.columns, scales.own)
    tally = _write_scaled(folder / ROWS_FILE, path, scaler)
    (folder / SCALER_FILE).write_text(json.dumps(scaler.to_dict(), indent=None if scaler.own else 1), encoding="utf-8")
    dropped = splits.rows - tally.rows - sum(tally.unscaled.values())
    return ScaledSummary(
        rows=tally.rows,
        splits=tally.written,
        dropped=dropped,
        unscaled={"series": len(tally.unscaled), "rows": sum(tally.unscaled.values())},
        missing=missing,
        covariates=scaler.covariates,
        scaled_by_series=[bare_name(name) for name in (scaler.own.columns if scaler.own else ())],
        **found.model_dump(include={"channels", "cuts", "grid"}),
        warnings=[*describe_scales(scales, settings.method), *_warnings(scaler, missing, tally.unscaled, dropped)],
        problems=list(find_problems(tally, scaler)),
    )


def _write_scaled(path: Path, splits: Path, scaler: Scaler) -> Tally:
    tally = Tally()
    schema = scaler.transform(pl.read_parquet(splits, n_rows=0)).to_arrow().schema
    with pq.ParquetWriter(path, schema, compression="lz4") as writer:
        for whole in read_windows(splits):
            rows = _leave_out_unscaled(whole, scaler, tally)
            tally.series += rows["series"].n_unique()
            tally.rounded.append(find_rounded(rows, scaler, ["split", "series"]))
            scaled = scaler.transform(rows)
            _refuse_infinite(scaled)
            writer.write_table(scaled.to_arrow())
            for name, count in count_splits(scaled.lazy()).items():
                tally.written[name] += count
            emit(Progress(stage="encode", done=tally.rows))
    return tally


def _leave_out_unscaled(rows: pl.DataFrame, scaler: Scaler, tally: Tally) -> pl.DataFrame:
    unknown = [name for name in rows["series"].unique(maintain_order=True) if not scaler.knows(name)]
    if not unknown:
        return rows
    is_unknown = pl.col("series").is_in(unknown)
    tally.unscaled |= dict(rows.filter(is_unknown).group_by("series", maintain_order=True).len().iter_rows())
    return rows.filter(~is_unknown)


def _refuse_infinite(scaled: pl.DataFrame) -> None:
    for name in scaled.select(NUMBERS).columns:
        beyond = scaled.filter(~pl.col(name).is_finite())
        if beyond.height:
            row, series = beyond.select("row", "series").row(0)
            raise InputError(
                "E-SER-010",
                f"row {row} of the source (from 0), series {quoted(series)}, is out of range for 32-bit floats once "
                "scaled by the training rows.",
                fix="correct the number, or set encode.method to another.",
                column=bare_name(name),
            )


def _refuse_calendar_of_steps(settings: ScaleSettings, grid: TimeGrid) -> None:
    if settings.calendar and grid.clock == "step":
        raise InputError(
            "E-SER-011",
            f"encode.calendar names {settings.calendar[0]}, but times are plain steps.",
            fix="remove encode.calendar, or set source.time_unit to what the times count.",
        )


def find_problems(tally: Tally, scaler: Scaler) -> Iterator[str]:
    """Yield in which columns series were lost in rounding, and what to set."""
    own = scaler.own.columns if scaler.own else ()
    rounded = pl.concat(tally.rounded).sort("split", "series")
    for (column,), found in rounded.group_by("column", maintain_order=True):
        kind, _, name = column.partition(".")
        if scaler.method == "none":
            remedy = 'set encode.method to "standard"'
        elif column in own or tally.series == 1:
            remedy = 'train on rows of one level, or set encode.method to "robust"'
        elif kind == "value":
            remedy = 'set encode.scale to "series"'
        else:
            remedy = "leave it out of source.covariate_columns, or provide it without the level of each series"
        splits = [SPLITS[number] for number in found["split"].unique().sort()]
        yield describe_rounded(found["series"], column=name, splits=splits, remedy=remedy)


def _warnings(
    scaler: Scaler, missing: Mapping[str, Mapping[str, int]], unscaled: Mapping[str, int], dropped: int
) -> list[str]:
    own = scaler.own.columns if scaler.own else ()
    shared = {name: scale for name, scale in scaler.columns.items() if name not in own}
    constant = [bare_name(name) for name, scale in shared.items() if scale.is_constant]
    num_missing = sum(sum(counts.values()) for counts in missing.values())
    counted = {
        f"constant in the training rows, so not scaled: {', '.join(map(quoted, constant))}": len(constant),
        f"filled {plural(num_missing, 'missing number')} with {FILLED.get(scaler.missing)}": (
            num_missing * (scaler.missing in FILLED)
        ),
        f"cut out {plural(dropped, 'row')} with a missing number": dropped,
        f"{len(unscaled)} series such as {quoted(next(iter(unscaled), ''))} ({plural(sum(unscaled.values()), 'row')}) "
        f"are left out: they have fewer than the {LEAST_NUMBERS} numbers in the training rows that a per-series "
        "scale needs": len(unscaled),
    }
    return [warning for warning, count in counted.items() if count]
