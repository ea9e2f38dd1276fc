"""Which of two instants is meant where clocks go back and show an hour twice: told from the order of a series' rows.

Parked rows have the earlier instant as `time` and the later one as `later`; they differ in ambiguous rows alone. A
window is what one series shows of one such hour. Times are in microseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import polars as pl

from tasks.errors import InputError, quoted
from tasks.panel.source import StampedSource
from tasks.panel.time_grid import HOUR_US
from tasks.panel.workdays import DAY_US

# Two windows of a series are months apart.
APART_US = DAY_US // 2


@dataclass(frozen=True)
class Window:
    """Ambiguous rows of a series from early to late, and the times of the rows before and after them."""

    rows: Sequence[int]
    positions: Sequence[int]
    earlier: Sequence[int]
    later: Sequence[int]
    before: int | None
    after: int | None

    @property
    def is_whole(self) -> bool:
        """Whether no other row stands between its rows."""
        return abs(self.positions[-1] - self.positions[0]) == len(self.positions) - 1

    @property
    def descends(self) -> bool:
        """Whether the series goes from late to early."""
        if self.before is not None:
            return self.before > max(self.earlier)
        if self.after is not None:
            return self.after < min(self.earlier)
        changes = [later - earlier for earlier, later in pairwise(self.earlier)]
        return sum(change < 0 for change in changes) > sum(change > 0 for change in changes)

    def reversed(self) -> "Window":
        """The same rows from the last to the first."""
        turned = (values[::-1] for values in (self.rows, self.positions, self.earlier, self.later))
        return Window(*turned, before=self.after, after=self.before)


def settle_second_readings(path: Path, settings: StampedSource) -> int:
    """Give ambiguous rows of a file of parked rows the instant that their order tells.

    Returns how many had neither a second reading nor neighbours that tell, and stay the earlier ones. Raises InputError
    (E-TIME-022) where a series begins with such a row.
    """
    keys = ["series"] if settings.channel_column is None else ["series", "channel"]
    is_ambiguous = pl.col("later") != pl.col("time")
    if not pl.scan_parquet(path).select(is_ambiguous.any()).collect(engine="streaming").item():
        return 0
    times = pl.scan_parquet(path).select("row", *keys, "time", "later").collect(engine="streaming")
    seconds: list[int] = []
    num_lone = 0
    for window in _find_windows(times, keys):
        is_second = _order(window)
        if is_second is None:
            is_second = _order_by_step(window, _find_step(times, keys, window))
        if is_second is None and window.before is None:
            raise _undecided(path, window, settings)
        if is_second is None:
            num_lone += len(window.rows)
        seconds += [row for row, second in zip(window.rows, is_second or (), strict=False) if second]
    _shift(path, seconds)
    return num_lone


def _find_windows(times: pl.DataFrame, keys: list[str]) -> list[Window]:
    in_series = times.with_columns(
        position=pl.int_range(pl.len()).over(keys),
        before=pl.col("time").shift(1).over(keys),
        after=pl.col("time").shift(-1).over(keys),
    )
    ambiguous = in_series.filter(pl.col("later") != pl.col("time")).sort(*keys, "time", maintain_order=True)
    follows = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in keys)
    is_near = pl.col("time") - pl.col("time").shift() < APART_US
    numbered = ambiguous.with_columns(window=(~(follows & is_near)).fill_null(value=True).cum_sum())
    parts = numbered.sort("window", "row").partition_by("window", maintain_order=True)
    columns = ("row", "position", "time", "later")
    windows = (
        Window(*(part[name].to_list() for name in columns), before=part["before"][0], after=part["after"][-1])
        for part in parts
    )
    return [window.reversed() if window.descends else window for window in windows]


def _order(window: Window) -> list[bool] | None:
    """Tell for each row whether it is the second reading; None if no row steps back, so that only the step tells."""
    size = len(window.rows)
    steps_back = [at for at in range(1, size) if window.earlier[at] <= window.earlier[at - 1]]
    if window.is_whole and len(steps_back) == 1:
        return [at >= steps_back[0] for at in range(size)]
    return _seen_before(window.earlier) if steps_back else None


def _order_by_step(window: Window, step: int | None) -> list[bool] | None:
    """Tell which reading continues the series regularly; None if either leaves a gap."""
    first, second = ([is_second] * len(window.rows) for is_second in (False, True))
    if step is None:
        return None
    # Days are counted on clocks, on which either instant is the same step.
    if step > DAY_US - HOUR_US:
        return first
    distances: dict[int, list[bool]] = {}
    if window.after is not None:
        distances |= {window.after - window.earlier[-1]: first, window.after - window.later[-1]: second}
    # The row before decides where both would do: the first reading is the earlier one.
    if window.before is not None:
        distances |= {window.later[0] - window.before: second, window.earlier[0] - window.before: first}
    return distances.get(step)


def _seen_before(readings: Sequence[int]) -> list[bool]:
    return [reading in readings[:at] for at, reading in enumerate(readings)]


def _find_step(times: pl.DataFrame, keys: list[str], window: Window) -> int | None:
    """The most frequent distance of neighbours in a window's series, those at the edges of windows aside."""
    key = times.filter(pl.col("row") == window.rows[0]).select(keys)
    series = times.join(key, on=keys, how="semi", maintain_order="left")
    is_ambiguous = pl.col("later") != pl.col("time")
    distance = pl.col("time").diff().abs()
    distances = series.select(step=pl.when(is_ambiguous == is_ambiguous.shift()).then(distance)).drop_nulls()
    counted = distances.filter(pl.col("step") > 0).group_by("step").len().sort("len", "step", descending=[True, False])
    return None if counted.is_empty() else counted["step"][0]


def _shift(path: Path, seconds: list[int]) -> None:
    """Give some rows of a file the later of their instants."""
    if not seconds:
        return
    later = pl.LazyFrame({"row": pl.Series(seconds, dtype=pl.UInt32)}).with_columns(is_second=True)
    joined = pl.scan_parquet(path).join(later, on="row", how="left", maintain_order="left")
    settled = joined.with_columns(time=pl.when("is_second").then("later").otherwise("time")).drop("is_second")
    draft = path.with_name(f"{path.name}.settled")
    settled.sink_parquet(draft, compression="lz4", maintain_order=True)
    draft.replace(path)


def _undecided(path: Path, window: Window, settings: StampedSource) -> InputError:
    assert settings.time_zone is not None, "without a zone no time is shown twice"
    rows = pl.scan_parquet(path).filter(pl.col("row") == window.rows[0]).select("file", "line", "series").collect()
    file, line, series = rows.row(0)
    instant = pl.Series([window.earlier[0]], dtype=pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    local = instant.dt.convert_time_zone(settings.time_zone).dt.strftime("%Y-%m-%d %H:%M:%S")[0]
    return InputError(
        "E-TIME-022",
        f"got {local}, which clocks in {settings.time_zone} show twice; series {quoted(series)} begins there, and no "
        "other row shows which of the two it is.",
        fix='begin with an earlier row, write the offset, or set ambiguous_times = "earliest" or "latest".',
        file=file,
        row=line,
        column=settings.first_time_column,
    )
