"""Rows to scaled rows without missing numbers: what stage `encode` does for time series.

Whatever is fitted, be it scales or means that stand for missing numbers, comes from the training rows.
"""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow.parquet as pq
from pydantic import Field

from tasks.errors import InputError, quoted
from tasks.part import Part
from tasks.progress import Progress, emit
from tasks.series.frames import NUMBERS, SPLITS, read_whole_series
from tasks.series.scaler import Scaler, fit_scale
from tasks.series.time_grid import TimeGrid
from tasks.store import Artefact

SCALER_FILE = "scaler.json"

CalendarFeature = Literal["minute", "hour", "weekday", "day_of_month", "day_of_year", "month"]


class ScaleSettings(Part):
    """How numbers are scaled, what becomes of missing ones, and which features of the calendar are added."""

    method: Literal["standard", "robust", "minmax", "none"] = Field(
        "standard", description="Scale by mean and deviation, by median and quartiles, by range, or not at all."
    )
    calendar: tuple[CalendarFeature, ...] = Field(
        (), max_length=6, description="Covariates made of the time; each becomes a sine and a cosine."
    )
    missing: Literal["error", "cut", "forward", "mean"] = Field(
        "error",
        description="What becomes of missing numbers: `cut` makes gaps of their rows, `forward` repeats the last one, "
        "`mean` takes that of the training rows.",
    )


def write_encoded(folder: Path, *, splits: Artefact, settings: ScaleSettings) -> dict:
    """Write the scaled rows of each split and `scaler.json`; returns counts, covariates and warnings.

    Raises InputError: E-SER-008 for a column without training numbers, E-SER-009 for missing numbers without a policy,
    E-SER-010 for numbers that leave the range of floats, E-SER-011 for a calendar without times.
    """
    files = {name: splits.file(f"{name}.parquet") for name in SPLITS}
    grid = TimeGrid.from_dict(splits.summary["grid"])
    _refuse_calendar_of_steps(settings, grid)
    missing = {name: _count_missing(path) for name, path in files.items()}
    scaler = fit_scaler(files["train"], settings, grid.zone)
    counts = _write_scaled(folder, files, scaler)
    (folder / SCALER_FILE).write_text(json.dumps(scaler.to_dict(), indent=1), encoding="utf-8")
    dropped = splits.rows - sum(counts.values())
    return {
        "rows": sum(counts.values()),
        "splits": counts,
        "dropped": dropped,
        "missing": missing,
        "covariates": scaler.covariates,
        **{name: splits.summary[name] for name in ("channels", "cuts", "grid")},
        "warnings": _warnings(scaler, missing, dropped),
    }


def fit_scaler(train: Path, settings: ScaleSettings, zone: str | None) -> Scaler:
    """Measure each column of the training rows, one column in memory at a time."""
    names = [name for name in pl.read_parquet_schema(train) if name.startswith(("value.", "known."))]
    columns = {}
    for name in names:
        numbers = pl.read_parquet(train, columns=[name])[name].fill_null(float("nan")).to_numpy()
        columns[name] = fit_scale(name, numbers, settings.method)
    return Scaler(settings.method, settings.missing, settings.calendar, zone, columns)


def _write_scaled(folder: Path, files: Mapping[str, Path], scaler: Scaler) -> dict[str, int]:
    counts = dict.fromkeys(SPLITS, 0)
    with contextlib.ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}
        for rows in read_whole_series(files):
            scaled = scaler.transform(rows)
            _refuse_infinite(scaled)
            for index, name in enumerate(SPLITS):
                part = scaled.filter(pl.col("split") == index).drop("split").to_arrow()
                if name not in writers:
                    path = folder / f"{name}.parquet"
                    writers[name] = stack.enter_context(pq.ParquetWriter(path, part.schema, compression="lz4"))
                writers[name].write_table(part)
                counts[name] += part.num_rows
            emit(Progress(stage="encode", done=sum(counts.values())))
    return counts


def _count_missing(path: Path) -> dict[str, int]:
    counts = pl.scan_parquet(path).select(NUMBERS.null_count()).collect(engine="streaming").row(0, named=True)
    return {name: count for name, count in counts.items() if count}


def _refuse_infinite(scaled: pl.DataFrame) -> None:
    for name in scaled.select(NUMBERS).columns:
        beyond = scaled.filter(~pl.col(name).is_finite())
        if beyond.height:
            row, series = beyond.select("row", "series").row(0)
            raise InputError(
                "E-SER-010",
                f"row {row} of the source (from 0), series {quoted(series)}, leaves the range of 32-bit floats once "
                "scaled by what the training rows hold.",
                fix="correct the number, or set encode.method to another.",
                column=name.partition(".")[2],
            )


def _refuse_calendar_of_steps(settings: ScaleSettings, grid: TimeGrid) -> None:
    if settings.calendar and grid.clock == "step":
        raise InputError(
            "E-SER-011",
            f"encode.calendar names {settings.calendar[0]}, but times are plain steps.",
            fix="remove encode.calendar, or set source.time_unit to what the times count.",
        )


def _warnings(scaler: Scaler, missing: Mapping[str, Mapping[str, int]], dropped: int) -> list[str]:
    constant = [name.partition(".")[2] for name, scale in scaler.columns.items() if scale.is_constant]
    done = {"forward": "filled with the last number before", "mean": "filled with the training mean"}
    num_missing = sum(sum(counts.values()) for counts in missing.values())
    counted = {
        f"constant in the training rows, so not scaled: {', '.join(map(quoted, constant))}": len(constant),
        f"{num_missing} missing number(s) were {done.get(scaler.missing)}": num_missing * (scaler.missing in done),
        f"{dropped} row(s) with a missing number were cut out": dropped,
    }
    return [warning for warning, count in counted.items() if count]
