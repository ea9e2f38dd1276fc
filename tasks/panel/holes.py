"""Steps that are missing in a pattern, such as nights and week-ends: what to say of them, and which setting helps."""

from typing import NamedTuple

import polars as pl

from tasks.errors import plural
from tasks.panel.time_grid import FOLLOWS_IN_SERIES, TimeGrid
from tasks.panel.workdays import WORKDAYS

FEWEST_GAPS = 3
ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


class Holes(NamedTuple):
    """The message on missing steps, and the settings by which windows span them."""

    said: str
    remedy: str
    are_regular: bool


def find_holes(rows: pl.DataFrame, grid: TimeGrid) -> Holes | None:
    """Describe where steps are missing in sorted rows, columns series and time; None where none is."""
    positions = grid.number_rows(rows)
    is_gap = (pl.Series(positions).diff() > 1) & rows.select(FOLLOWS_IN_SERIES).to_series()
    gaps = is_gap.fill_null(value=False).arg_true()
    if gaps.is_empty():
        return None
    after = grid.show(rows["time"].cast(pl.Int64)[gaps[0] - 1])
    every = _every(rows.with_columns(is_gap=is_gap.fill_null(value=False)), gaps.len())
    said = f"steps of {grid.frequency} are missing{every}, such as after {after} ({plural(gaps.len(), 'gap')})"
    return Holes(said, _remedy(rows, grid), are_regular=bool(every))


def are_workdays(times: pl.Series, grid: TimeGrid) -> bool:
    """Tell whether days, of the grid's type, go from Monday to Friday on its clocks."""
    local = times.dt.convert_time_zone(grid.zone) if grid.zone else times
    return grid.frequency == "1d" and bool((local.dt.weekday() <= WORKDAYS).all())


def _every(rows: pl.DataFrame, num_gaps: int) -> str:
    """After how many rows steps are missing, if that is the same most of the time."""
    begins = pl.col("is_gap") | ~FOLLOWS_IN_SERIES.fill_null(value=False)
    runs = rows.select("series", run=begins.cum_sum()).group_by("series", "run", maintain_order=True).len()
    # The last run of a series is not ended by a gap.
    ended = runs.filter(pl.col("series") == pl.col("series").shift(-1))
    lengths = ended["len"].value_counts().sort("count", "len", descending=True)
    if num_gaps < FEWEST_GAPS or 2 * lengths["count"][0] < ended.height:
        return ""
    length = lengths["len"][0]
    return f" after every {ORDINALS[length] if length < len(ORDINALS) else f'{length}th'} row"


def _remedy(rows: pl.DataFrame, grid: TimeGrid) -> str:
    if are_workdays(rows["time"], grid):
        return (
            'set source.frequency = "1bd", by which days from Monday to Friday follow one another, and '
            'source.gaps = "span", by which windows span holidays'
        )
    return 'set source.gaps = "span" if rows that follow one another are steps, whatever time lies between them'
