"""Rows to training, validation and test rows by time alone: what stage `split` does for time series.

All series are cut at the same times, so that none tells a model another one's future. Test rows of an earlier split
need not be held in place: rows are only ever added at the end, so a challenger's test rows begin no earlier than the
champion's, and neither has learned from them.
"""

import datetime
import zoneinfo
from pathlib import Path
from typing import Self

import polars as pl
from pydantic import Field, field_validator, model_validator

from rnnmodels.config import Settings
from tasks.errors import InputError, plural, quoted
from tasks.kinds.forecast.summaries import CutSummary, SeriesRowsSummary
from tasks.panel.frames import ROWS_FILE, SPLITS, TEST, TRAIN, VALID, count_splits
from tasks.panel.time_grid import TimeGrid
from tasks.progress import Progress, emit
from tasks.store.artefacts import Artefact

CUTS = ("train_until", "valid_until", "test_until")
UNIX_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class TimeSplitSettings(Settings):
    """Where the rows are cut in time: by shares of the rows, or at given times, each the first that is left out."""

    valid: float = Field(0.1, gt=0, lt=1, description="Share of the rows for validation, just before the test rows.")
    test: float = Field(0.2, gt=0, lt=1, description="Share of the rows for testing, the latest.")
    train_until: str | int | None = Field(
        None, description="Time (ISO 8601) or step at which training rows end, instead of shares."
    )
    valid_until: str | int | None = Field(None, description="Time or step at which validation rows end.")
    test_until: str | int | None = Field(
        None, description="Time or step at which test rows end; later rows are unused."
    )

    @field_validator(*CUTS, mode="before")
    @classmethod
    def _takes_times_of_toml(cls, cut: object) -> object:
        return cut.isoformat() if isinstance(cut, datetime.date) else cut

    @model_validator(mode="after")
    def _cuts_in_one_way(self) -> Self:
        if self.valid + self.test >= 1:
            raise ValueError(f"valid + test is {self.valid + self.test:g}, which leaves no training rows")
        if (self.train_until is None) != (self.valid_until is None):
            raise ValueError("train_until and valid_until belong together")
        return self


def must_hold(held: Artefact | None, rows: Artefact, settings: TimeSplitSettings) -> bool:  # noqa: ARG001
    """Rows of an earlier split are never kept in place."""
    return False


def write_splits(
    folder: Path,
    *,
    rows: Artefact,
    settings: TimeSplitSettings,
    held: Artefact | None = None,  # noqa: ARG001
) -> CutSummary:
    """Write `rows.parquet` with the column `split`; returns the rows of each split and the times of the cuts.

    Raises InputError: E-SER-006 for a split without rows, E-SER-007 for a cut that does not fit the series.
    """
    found, path = SeriesRowsSummary.of(rows), rows.file(ROWS_FILE)
    grid = found.grid
    cuts = find_cuts(path, settings, grid)
    time = pl.col("time").cast(pl.Int64)
    split = pl.when(time < cuts[0]).then(TRAIN).when(time < cuts[1]).then(VALID).when(_is_used(cuts[2])).then(TEST)
    cut = pl.scan_parquet(path).with_columns(split=split.cast(pl.UInt8)).filter(pl.col("split").is_not_null())
    cut.sink_parquet(folder / ROWS_FILE, compression="zstd", maintain_order=True)
    counts = count_splits(pl.scan_parquet(folder / ROWS_FILE))
    for name, start, until in zip(SPLITS, (None, *cuts), cuts, strict=False):
        if not counts[name]:
            raise _no_rows(name, start, until, found)
        emit(Progress(stage="split", note=f"{name}: {counts[name]} rows"))
    num_unused = rows.rows - sum(counts.values())
    return CutSummary(
        rows=sum(counts.values()),
        splits=counts,
        unused=num_unused,
        cuts={name: _shown(cut, grid) for name, cut in zip(CUTS, cuts, strict=True)},
        **found.model_dump(include={"channels", "covariates", "grid"}),
        warnings=_warnings(pl.scan_parquet(folder / ROWS_FILE), num_unused),
    )


def find_cuts(path: Path, settings: TimeSplitSettings, grid: TimeGrid) -> tuple[int, int, int | None]:
    """The first times after training, validation and test rows, as integers; None where the test has no end."""
    test_until = None if settings.test_until is None else read_cut(settings.test_until, "test_until", grid)
    if settings.train_until is not None and settings.valid_until is not None:
        given = [read_cut(getattr(settings, name), name, grid) for name in CUTS[:2]]
        return given[0], given[1], test_until
    used = pl.scan_parquet(path).filter(_is_used(test_until)).select(pl.col("time").cast(pl.Int64))
    times = used.sort("time").collect()["time"]
    if times.is_empty():
        raise _bad_cut("test_until", settings.test_until, "a time after the first row")
    num_test, num_held = (round(times.len() * share) for share in (settings.test, settings.valid + settings.test))
    valid_until = times[times.len() - max(num_test, 1)]
    # Of few rows the shares may round to the same time; validation takes at least the one before the test.
    before = times.filter(times < valid_until)
    train_until = times[times.len() - max(num_held, 1)]
    train_until = train_until if before.is_empty() else min(train_until, before[-1])
    return train_until, valid_until, test_until


def read_cut(cut: str | int, name: str, grid: TimeGrid) -> int:
    """Read a cut as microseconds since 1970 or as a step; without an offset it is a time on the clocks of the grid.

    Raises InputError (E-SER-007).
    """
    if grid.clock == "step":
        if not str(cut).lstrip("-").isdigit():
            raise _bad_cut(name, cut, "a whole number of steps, as in the time column")
        return int(cut)
    try:
        time = datetime.datetime.fromisoformat(str(cut))
    except ValueError:
        raise _bad_cut(name, cut, "a time in ISO 8601 such as 2024-02-29T13:30:00") from None
    if grid.clock == "naive" and time.tzinfo is not None:
        raise _bad_cut(name, cut, "a time without an offset, as in the time column")
    if time.tzinfo is None:
        time = time.replace(tzinfo=zoneinfo.ZoneInfo(grid.zone or "UTC"))
    return (time - UNIX_EPOCH) // datetime.timedelta(microseconds=1)


def _is_used(test_until: int | None) -> pl.Expr:
    return pl.lit(True) if test_until is None else pl.col("time").cast(pl.Int64) < test_until


def _shown(cut: int | None, grid: TimeGrid) -> str | None:
    return None if cut is None else grid.show(cut)


def _warnings(rows: pl.LazyFrame, num_unused: int) -> list[str]:
    split = pl.col("split")
    ends = rows.group_by("series").agg(first=split.min(), last=split.max())
    counts = ends.select(new=(pl.col("first") > TRAIN).sum(), untested=(pl.col("last") < TEST).sum(), all=pl.len())
    num_new, num_untested, num_series = counts.collect(engine="streaming").row(0)
    counted = {
        f"{plural(num_unused, 'row')} after test_until, not used": num_unused,
        f"{num_new} series without training rows": num_new,
        f"{num_untested} of {num_series} series end before the test rows begin, so they are not tested": num_untested,
    }
    return [warning for warning, count in counted.items() if count]


def _no_rows(name: str, start: int | None, until: int | None, found: SeriesRowsSummary) -> InputError:
    shown = {"from": _shown(start, found.grid), "before": _shown(until, found.grid)}
    bounds = " and ".join(f"{word} {cut}" for word, cut in shown.items() if cut)
    return InputError(
        "E-SER-006",
        f"there are no {name} rows {bounds}; the rows go from {found.first_time} to {found.last_time}.",
        fix="set train_until, valid_until and test_until in ascending order within the rows, or change the shares.",
    )


def _bad_cut(name: str, cut: object, expected: str) -> InputError:
    return InputError(
        "E-SER-007",
        f"split.{name}: got {quoted(cut)}, expected {expected}.",
        fix=f"correct split.{name} in the recipe.",
    )
