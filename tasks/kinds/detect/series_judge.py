"""What a served detector makes of the rows of one series, given what it remembers of it.

Rows later than the last one seen go on from there, as if they had come alone. Rows seen before are answered as they
were judged then, or, where the whole history is given, judged again from its beginning, which comes to the same.
Shapes: N rows, C channels.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.errors import InputError, plural, quoted
from tasks.kinds.detect.detector import judge_rows
from tasks.kinds.detect.events import count_gap_rows, find_events
from tasks.kinds.detect.forecasting import forecast_rows
from tasks.kinds.detect.levels import LevelScaler
from tasks.kinds.detect.likelihood import MIN_ROWS
from tasks.kinds.detect.memory import Memory, Overlap, count_recent, forecasts_of
from tasks.kinds.detect.seen_windows import tabulate_windows
from tasks.kinds.detect.serving import Learned, Serving
from tasks.kinds.detect.split import count_training, count_warm_up
from tasks.panel.profile import window_steps

if TYPE_CHECKING:
    from rnnmodels.forecasters.forecaster import SequenceForecaster

# What became of a row: judged anew, or before; not judged as part of a warm-up, or since it is no longer remembered.
JUDGED, SEEN, WARM_UP, FORGOTTEN = "judged", "seen", "warm-up", "forgotten"


class Answered(NamedTuple):
    """What is said of the rows of a series, and what is remembered of it from now on."""

    answers: pl.DataFrame
    memory: Memory


class Judged(NamedTuple):
    """Forecasts of the levels of rows (N, C), and their scores (N); NaN where a row is not judged."""

    forecasts: NDArray[np.float32]
    surprise: NDArray[np.float64]

    def followed_by(self, later: "Judged") -> "Judged":
        """These rows and later ones."""
        return Judged(
            np.concatenate([self.forecasts, later.forecasts]), np.concatenate([self.surprise, later.surprise])
        )


@dataclass(frozen=True, kw_only=True)
class SeriesJudge:
    """Judges rows of series; `nothing` is a table of remembered rows without any.

    `is_ordered` says that times of a series rise from row to row. What the rows that are judged anew look like is
    appended to `windows`, where there is such a list.
    """

    model: "SequenceForecaster"
    scaler: LevelScaler
    serving: Serving
    nothing: pl.DataFrame
    is_ordered: bool
    windows: list[pl.DataFrame] | None = None

    def answer(self, rows: pl.DataFrame, memory: Memory | None) -> Answered:
        """Judge rows of a series, given what is remembered of it if it is known.

        Raises InputError: E-DET-020 where nothing can be judged, E-DET-023 and E-DET-024 for rows that contradict those
        seen, E-DET-003 and E-SER-009 for missing numbers.
        """
        if memory is None:
            return self._answer_unknown(rows)
        is_known = self.scaler.series.get(rows["series"][0]) == memory.scales
        judge = self if is_known else replace(self, scaler=memory.extend_scaler(self.scaler))
        return judge._answer_known(rows, memory)

    def _answer_unknown(self, rows: pl.DataFrame) -> Answered:
        """Judge a series that was not there in training, whose first rows are its warm-up and give its scales."""
        name, settings = rows["series"][0], self.serving.warm_up_settings
        warm_up = count_warm_up(rows.height, settings)
        if rows.height <= warm_up or warm_up < MIN_ROWS:
            raise _too_short(name, rows.height, warm_up)
        scaler = self.scaler.with_series(name, rows[: count_training(warm_up, settings)])
        judge = replace(self, scaler=scaler)
        judged = judge._judge_history(rows, warm_up)
        until = rows[:warm_up].select(pl.col("time").cast(pl.Int64).max()).item()
        learned = Learned(rows=0, warm_up_rows=warm_up, until=until)
        memory = Memory(past=self.nothing, learned=learned, scales=scaler.series[name])
        answers = judge._tabulate(rows, judged, self._mark(judged.surprise, warm_up), num_seen=0)
        return Answered(answers, judge._remember(memory, rows, judged))

    def _answer_known(self, rows: pl.DataFrame, memory: Memory) -> Answered:
        past, learned = memory.past, memory.learned
        overlap = Overlap(rows=rows, past=past, channels=self.serving.channels, show=self.serving.show)
        place_N = overlap.find_places(is_ordered=self.is_ordered)
        num_old, num_before = int((place_N < past.height).sum()), int((place_N < 0).sum())
        old, new = self._recall(rows[:num_old], place_N, memory), self._go_on(memory, rows[num_old:])
        judged = old.followed_by(new)
        if np.isnan(judged.surprise).all():
            raise _nothing_to_judge(rows, past, self.serving)
        # Events span rows that are not asked for as well.
        timeline = np.concatenate([np.full(num_before, np.nan), past["surprise"].to_numpy(), new.surprise])
        timeline[place_N + num_before] = judged.surprise
        marks = self._mark(timeline, learned.warm_up_rows)[place_N + num_before]
        answers = self._tabulate(rows, judged, marks, num_seen=num_old)
        return Answered(answers, self._remember(memory, rows[num_old:], new))

    def _remember(self, memory: Memory, rows: pl.DataFrame, judged: Judged) -> Memory:
        """What is remembered after more rows of a series."""
        names, stamped = self.serving.channels, ["series", "time", *(f"value.{name}" for name in self.serving.channels)]
        filled = self.scaler.fill(pl.concat([memory.past.select(stamped).tail(1), rows.select(stamped)]))
        forecasts = {f"forecast.{name}": judged.forecasts[:, index] for index, name in enumerate(names)}
        said = {**forecasts, "surprise": judged.surprise}
        seen = filled.tail(rows.height).with_columns(pl.Series(name, of, nan_to_null=True) for name, of in said.items())
        num_kept = count_recent(self.serving.detector_settings, memory.learned.warm_up_rows, self.model.shape.num_steps)
        return memory.followed_by(seen.select(memory.past.columns), num_kept=num_kept)

    def _recall(self, rows: pl.DataFrame, place_N: NDArray[np.int64], memory: Memory) -> Judged:
        """Answer rows that were seen before; those before the ones remembered can only be judged with all of theirs."""
        if _holds_warm_up(rows, memory.learned):
            return self._judge_history(rows, memory.learned.warm_up_rows)
        place_N = place_N[: rows.height]
        surprise_N = np.full(rows.height, np.nan)
        forecasts_NC = np.full((rows.height, len(self.serving.channels)), np.nan, np.float32)
        remembered = place_N >= 0
        surprise_N[remembered] = memory.past["surprise"].to_numpy()[place_N[remembered]]
        forecasts_NC[remembered] = memory.forecasts[place_N[remembered]]
        return Judged(forecasts_NC, surprise_N)

    def _judge_history(self, rows: pl.DataFrame, warm_up_rows: int) -> Judged:
        """Judge a series from its first row on; those of the warm-up are forecast alone."""
        judged = self._judge(rows, self.nothing, first_row=0)
        judged.surprise[:warm_up_rows] = np.nan
        return judged

    def _go_on(self, memory: Memory, rows: pl.DataFrame) -> Judged:
        """Judge rows that follow upon those remembered."""
        return self._judge(rows, memory.past, first_row=memory.first_row)

    def _judge(self, rows: pl.DataFrame, past: pl.DataFrame, *, first_row: int) -> Judged:
        """Judge rows after others of their series, the first of which has a number within it."""
        if not rows.height:
            return Judged(np.empty((0, len(self.serving.channels)), np.float32), np.empty(0))
        scaler, series, num_past = self.scaler, rows["series"][0], past.height
        columns = ["series", "time", *(f"value.{name}" for name in self.serving.channels)]
        joined = scaler.fill(pl.concat([past.select(columns), rows.select(columns)]))
        levels_NC = scaler.levels(series, scaler.values_of(joined))
        # A forecast looks back no further than a window, however long the past is.
        first = max(0, num_past - self.model.shape.num_steps)
        calendar_ND = scaler.describe_times(joined["time"][first:])
        forecasts_NC = forecast_rows(
            self.model, levels_NC[first:], calendar_ND, first=num_past - first, first_row=first_row + first
        )
        surprise_N = judge_rows(
            levels_NC,
            np.concatenate([forecasts_of(past, self.serving.channels), forecasts_NC]),
            self.serving.detector_settings,
            num_past=num_past,
        )
        return Judged(forecasts_NC, surprise_N)

    def _mark(self, surprise_N: NDArray[np.float64], warm_up_rows: int) -> pl.DataFrame:
        """What is said of each row besides its score: is_anomaly, alarm, event."""
        threshold = self.serving.threshold
        gap_rows = count_gap_rows(self.serving.detector_settings.events.gap_share, warm_up_rows)
        numbers, alarms = np.zeros(len(surprise_N), np.uint32), np.zeros(len(surprise_N), bool)
        for number, event in enumerate(find_events(surprise_N, threshold=threshold, gap_rows=gap_rows), start=1):
            numbers[event.start : event.end + 1] = number
            alarms[event.start] = True
        return pl.DataFrame({"is_anomaly": surprise_N >= threshold, "alarm": alarms, "event": numbers})

    def _tabulate(self, rows: pl.DataFrame, judged: Judged, marks: pl.DataFrame, *, num_seen: int) -> pl.DataFrame:
        """Lay out what is said of rows, the first of which were seen before."""
        names = self.serving.channels
        expected_NC = self.scaler.values(rows["series"][0], judged.forecasts)
        said = {f"expected.{name}": expected_NC[:, index] for index, name in enumerate(names)}
        said["surprise"] = judged.surprise
        columns = (pl.Series(name, numbers, nan_to_null=True) for name, numbers in said.items())
        table = rows.select("series", "time", *(f"value.{name}" for name in names)).with_columns(columns)
        status = (
            pl.when(pl.any_horizontal(pl.col("^expected.*$").is_null()))
            .then(pl.lit(FORGOTTEN))
            .when(pl.col("surprise").is_null())
            .then(pl.lit(WARM_UP))
            .when(pl.int_range(pl.len()) < num_seen)
            .then(pl.lit(SEEN))
            .otherwise(pl.lit(JUDGED))
        )
        # Events are numbered in the answer, whatever came before it.
        event = pl.col("event").replace(0, None).rank("dense").cast(pl.UInt32)
        table = table.hstack(marks.with_columns(event)).with_columns(status=status)
        if self.windows is not None:
            self.windows.append(self._tabulate_windows(rows, judged, table))
        if self.serving.zone is not None:
            table = table.with_columns(pl.col("time").dt.convert_time_zone(self.serving.zone))
        if len(names) > 1:
            return table
        return table.rename({f"{role}.{names[0]}": role for role in ("value", "expected")})

    def _tabulate_windows(self, rows: pl.DataFrame, judged: Judged, table: pl.DataFrame) -> pl.DataFrame:
        """Describe the rows that were judged anew, which are the last."""
        anew = slice(rows.height - (table["status"] == JUDGED).sum(), None)
        levels_NC = self.scaler.levels(rows["series"][0], self.scaler.values_of(self.scaler.fill(rows)))
        shape = self.model.shape
        return tabulate_windows(
            rows[anew],
            levels_NC[anew],
            judged.forecasts[anew],
            table["is_anomaly"].to_numpy()[anew],
            channels=self.serving.channels,
            size=window_steps(shape.look_back, shape.horizon),
        )


def _holds_warm_up(rows: pl.DataFrame, learned: Learned) -> bool:
    """Whether rows reach back to the beginning: as many lie in the time of the warm-up as in training."""
    return int((rows["time"].cast(pl.Int64) <= learned.until).sum()) >= learned.warm_up_rows


def _too_short(series: str, num_rows: int, warm_up: int) -> InputError:
    return InputError(
        "E-DET-020",
        f"series {quoted(series)} has {plural(num_rows, 'row')}, of which {warm_up} are its warm-up; expected at "
        f"least {MIN_ROWS} warm-up rows.",
        fix="provide more of its history, or leave the series out.",
    )


def _nothing_to_judge(rows: pl.DataFrame, past: pl.DataFrame, serving: Serving) -> InputError:
    time = pl.col("time").cast(pl.Int64)
    begin, last = (serving.show(end) for end in past.select(begin=time.min(), last=time.max()).row(0))
    return InputError(
        "E-DET-020",
        f"series {quoted(rows['series'][0])} has {plural(rows.height, 'row')}, none later than {last}, the last time "
        f"seen, and none that was judged: they belong to its warm-up, or lie before {begin}, where the remembered "
        "rows begin.",
        fix=f"provide rows later than {last}, or its whole history.",
    )
