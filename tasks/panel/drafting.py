"""What a table says of series: times, ids, numbers and how regular they are. The kinds of series draft from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from tasks.contract.candidate import Candidate
from tasks.discovery.columns import Column
from tasks.discovery.draft import Question, Setting
from tasks.discovery.seen import Seen
from tasks.discovery.times import Reading
from tasks.errors import plural, quoted
from tasks.panel.drafted_columns import (
    are_alike,
    find_ids,
    find_values,
    id_settings,
    order_settings,
    value_settings,
)
from tasks.panel.drafted_times import find_readings, is_in_order, share_of, time_settings
from tasks.panel.inferred_grid import infer_grid
from tasks.panel.time_grid import DTYPES, Clock, TimeGrid

MANY_COLUMNS = 12
MISSING = "encode.missing"


@dataclass(frozen=True, kw_only=True)
class Series:
    """What a table says of series.

    reading: of the times, None where rows are steps in their order. rows: columns series and time, sorted. findings: of
    the section `source`.
    """

    reading: Reading | None
    ids: tuple[Column, ...]
    values: tuple[Column, ...]
    layout: str = "table"
    rows: pl.DataFrame = field(default_factory=pl.DataFrame)
    findings: tuple[Setting | Question, ...] = ()
    grid: TimeGrid | None = None

    @property
    def lengths(self) -> pl.Series:
        """Rows of each series."""
        return self.rows.group_by("series").len()["len"]

    @property
    def missing(self) -> tuple[int, float]:
        """How many numbers are missing, and their share."""
        cells = sum(one.cells.len() for one in self.values)
        missing = sum(one.numbers.null_count() for one in self.values)
        return missing, missing / max(1, cells)

    @property
    def off_grid(self) -> float:
        """The share of rows that lie between two steps."""
        if self.grid is None:
            return 1.0
        return share_of(self.grid.find_irregular(self.rows["time"].cast(self.grid.dtype)))


def see_series(seen: Seen, *, label: Column | None = None, covariates: bool = False) -> Series | None:
    """Find times, ids and numbers; None for a table that holds no numbers over time.

    `label` is a column that is neither; with `covariates` some numbers may be known in advance.
    """
    aside = [label] if label is not None else []
    readings = find_readings(seen, aside=aside)
    reading = readings[0] if readings else None
    if reading is None and not is_in_order(seen, aside):
        return None
    times = reading.columns if reading else ()
    rest = [one for one in seen.columns.values() if one.name not in times and one not in aside]
    ids, channel, rows = find_ids(seen, reading, rest)
    rest = [one for one in rest if one not in ids and one is not channel]
    values, known, left = find_values(seen, rest, reading, covariates=covariates)
    if not values:
        return None
    is_wide = len(values) > MANY_COLUMNS and not ids and channel is None and are_alike(values) and label is None
    clock: Clock = "step" if reading is None or reading.is_steps else "utc" if reading.has_offset else "naive"
    unique = rows.unique(["series", "time"], maintain_order=True)
    typed = unique.with_columns(pl.col("time").cast(DTYPES[clock])).sort("series", "time")
    findings: list[Setting | Question] = [*seen.findings]
    findings += time_settings(seen, reading, readings, unique, clock)
    findings += id_settings(seen, reading, ids, channel)
    findings += value_settings(seen, values, known, left, is_wide=is_wide)
    findings += order_settings(rows, rows.height - unique.height if channel is None else 0, findings)
    return Series(
        reading=reading,
        ids=tuple(ids),
        values=tuple(values),
        layout="series_per_column" if is_wide else "table",
        rows=typed,
        findings=tuple(findings),
        grid=infer_grid(typed, clock=clock, zone="UTC" if clock == "utc" else None),
    )


def describe_series(series: Series) -> str:
    """What series there are: `"load" over time`, `3 channels over time, 12 series`."""
    num_values, num_series = len(series.values), series.rows["series"].n_unique()
    what = quoted(series.values[0].name) if num_values == 1 else plural(num_values, "channel")
    what = what if series.layout == "table" else "numbers"
    total = num_values if series.layout == "series_per_column" else num_series
    return f"{what} over time" + (f", {total:,} series" if total > 1 else "")


def shorter_segments(candidates: Sequence[Candidate], look_back: int) -> Iterator[Setting]:
    """The candidates of a recipe with segments that fit into a short look-back, where the default ones do not."""
    stated = [one.model_dump(mode="json", exclude_defaults=True) for one in candidates]
    too_long = [getattr(one.model, "segment_length", 1) > look_back for one in candidates]
    if any(too_long):
        for one in stated:
            one["model"] = {**one.get("model", {}), "segment_length": look_back}
        yield Setting("candidates", stated, "segments are at most as long as the look-back")


def missing_settings(series: Series, *, otherwise: str = "") -> Iterator[Setting]:
    """What becomes of missing numbers, where there are any or may be; `otherwise` names another policy."""
    number, share = series.missing
    if number:
        yield Setting(MISSING, "forward", f"{plural(number, 'number')} missing ({share:.1%}){otherwise}")
    elif any(one.key == "source.sentinels" for one in series.findings):
        yield Setting(MISSING, "forward", f"where sentinels stand{otherwise}")
