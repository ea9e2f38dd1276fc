"""Recipes for forecasts, from a look at a table of series."""

from collections.abc import Iterator

import polars as pl

from tasks.discovery.draft import Choice, Draft, Question, Setting
from tasks.discovery.seen import Seen
from tasks.errors import plural
from tasks.kinds.forecast.fitting_windows import propose_windows
from tasks.kinds.forecast.recipe import RECURRENT_FORECASTERS
from tasks.kinds.forecast.split import TimeSplitSettings
from tasks.panel.drafted_rows import see_series_in_rows
from tasks.panel.drafting import MISSING, Series, describe_series, missing_settings, see_series, shorter_segments
from tasks.panel.time_grid import FOLLOWS_IN_SERIES

KIND = "forecast"
# Numbers that both default models read in a second on two cores, windows and epochs included.
RATE = 5_000
MIN_ROWS = 12
MOST_OFF_GRID = 0.02
MONDAY_TO_FRIDAY = 5
FEW_MISSING = 0.05
MAX_LOOK_BACK, MAX_HORIZON = 336, 48
# The default network reads a day of hours at once.
SEGMENT = 24


def draft(seen: Seen) -> Draft:
    """Propose a recipe for forecasts."""
    series = (see_series_in_rows(seen) or see_series(seen, covariates=True)) if seen.columns else None
    if series is None or series.grid is None:
        return Draft(kind=KIND, lacks="no column holds times, and rows do not look like steps in their order")
    if (longest := max(series.lengths)) < MIN_ROWS:
        return Draft(kind=KIND, lacks=f"the longest series has {plural(longest, 'row')}")
    if series.off_grid > MOST_OFF_GRID:
        lacks = f"{series.off_grid:.0%} of the times are between steps of {series.grid.frequency}"
        return Draft(kind=KIND, lacks=lacks)
    findings = (*series.findings, *_grid_settings(series), *_windows(series, seen), *_missing(series))
    return Draft(
        kind=KIND,
        fit=0.7 if series.reading is not None else 0.5,
        reason=f"{describe_series(series)}, in steps of {series.grid.frequency}",
        findings=findings,
        values=seen.num_rows * len(series.values),
        rate=RATE,
    )


def _grid_settings(series: Series) -> Iterator[Setting | Question]:
    assert series.grid is not None, "checked by the caller"
    if _skips_weekends(series):
        yield Setting("source.frequency", "1bd", "no Saturdays and Sundays")
        if holidays := _sum_of_holes(
            series, pl.business_day_count(_times(series).dt.date().shift(), _times(series).dt.date())
        ):
            why = f'{plural(holidays, "day")} missing; "cut" lets no window span them'
            yield Setting("source.gaps", "span", why)
    elif series.reading is not None and not series.reading.is_steps:
        holes = _sum_of_holes(series, series.grid.positions(_times(series)).diff())
        why = f"the commonest step; {plural(holes, 'step')} missing" if holes else ""
        yield Setting("source.frequency", series.grid.frequency, why)


def _times(series: Series) -> pl.Series:
    assert series.grid is not None, "checked by the caller"
    return series.rows["time"].cast(series.grid.dtype)


def _sum_of_holes(series: Series, steps: pl.Series | pl.Expr) -> int:
    """Steps that are missing between rows of one series that follow one another."""
    return int(series.rows.select(pl.when(FOLLOWS_IN_SERIES).then(steps - 1).sum()).item() or 0)


def _skips_weekends(series: Series) -> bool:
    if series.grid is None or series.grid.frequency != "1d" or series.grid.clock == "step":
        return False
    is_workday = _times(series).dt.weekday() <= MONDAY_TO_FRIDAY
    return series.rows.height >= 2 * MONDAY_TO_FRIDAY and bool(is_workday.all())


def _windows(series: Series, seen: Seen) -> Iterator[Setting | Question]:
    """A horizon and a look-back that fit the lengths between gaps."""
    assert series.grid is not None, "checked by the caller"
    season = MONDAY_TO_FRIDAY if _skips_weekends(series) else series.grid.season
    runs = _runs(series)
    if not seen.is_whole and len(runs) == 1 and len(runs[0]) == 1:
        runs = [[seen.num_rows // seen.found.num_tables]]
    length = max(map(sum, runs))
    # Of shorter series a season is too much of the test rows.
    horizon = max(1, min(season if season > 1 else length // 20, length // 20, MAX_HORIZON))
    horizon = max(horizon, min(season, length // 12) if season <= MAX_HORIZON else 1)
    wanted = max(1, min(max(3 * season, 3 * horizon, SEGMENT), length // 3, MAX_LOOK_BACK))
    fitting = propose_windows(runs, look_back=wanted, horizon=horizon, split=TimeSplitSettings())
    look_back, horizon = fitting or (1, 1)
    yield Setting("split.valid", 0.1)
    yield Setting("split.test", 0.2, "the latest rows")
    why = f"fits {length:,} steps" if len(runs) == 1 else f"fits series of up to {length:,} steps"
    yield Setting("shard.look_back", look_back, why)
    yield Setting("shard.horizon", horizon, "how many steps are forecast: change it to your need")
    if season > 1:
        yield Setting("shard.season", season, f"steps of {series.grid.frequency}")
    yield from shorter_segments(RECURRENT_FORECASTERS, look_back)


def _runs(series: Series) -> list[list[int]]:
    """How many rows each series has between its gaps, unless windows may span them."""
    assert series.grid is not None, "checked by the caller"
    positions = series.grid.positions(_times(series))
    is_cut = pl.lit(value=False) if _skips_weekends(series) else (positions.diff() != 1).fill_null(value=True)
    numbered = series.rows.with_columns(run=pl.when(FOLLOWS_IN_SERIES).then(is_cut).fill_null(value=True).cum_sum())
    by_run = numbered.group_by("series", "run", maintain_order=True).len()
    return by_run.group_by("series", maintain_order=True).agg("len")["len"].to_list()


def _missing(series: Series) -> Iterator[Setting | Question]:
    """What becomes of missing numbers; what would fill many of them is asked."""
    share = series.missing[1]
    if series.layout == "series_per_row":
        return
    if share <= FEW_MISSING:
        yield from missing_settings(series, otherwise='; or "cut"')
        return
    yield Question(
        f"{share:.0%} of the numbers are missing: what becomes of them?",
        (
            Choice({MISSING: "cut"}, "their rows are left out"),
            Choice({MISSING: "forward"}, "the last number is repeated"),
            Choice({MISSING: "mean"}, "the mean takes their place"),
        ),
    )
