"""What a detector remembers of a series: its last rows with what was made of them, and what it has learned of it.

What follows is judged by these alone, so a series can be gone on with from a memory to the last bit. A caller hands
over the last rows of a log, and some of them were there yesterday. What is said of a row must not depend on that, so
rows are put in their places after and among those remembered, and those seen before must be the same.
N rows given, K rows remembered, C channels.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.errors import InputError, plural, quoted
from tasks.kinds.detect.events import count_gap_rows
from tasks.kinds.detect.levels import LevelScale, LevelScaler
from tasks.kinds.detect.serving import Learned
from tasks.kinds.detect.settings import DetectorSettings


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The last rows seen of a series, what was learned of it, and the scales of its channels.

    `past` has the columns series, time, value.*, forecast.* (levels, Float32) and surprise, which is null in the
    warm-up. `learned.rows` counts all rows seen, of which `past` holds the last.
    """

    past: pl.DataFrame
    learned: Learned
    scales: dict[str, LevelScale]

    @property
    def first_row(self) -> int:
        """The number within the series of the first row remembered."""
        return self.learned.rows - self.past.height

    @property
    def forecasts(self) -> NDArray[np.float32]:
        """What was forecast of the rows remembered (N, C)."""
        return forecasts_of(self.past, self.scales)

    def followed_by(self, judged: pl.DataFrame, *, num_kept: int) -> "Memory":
        """The memory after more rows, in the columns of `past`, of which only the last ones are kept."""
        learned = replace(self.learned, rows=self.learned.rows + judged.height)
        return replace(self, past=pl.concat([self.past, judged]).tail(num_kept), learned=learned)

    def extend_scaler(self, scaler: LevelScaler) -> LevelScaler:
        """A scaler that knows the series."""
        return replace(scaler, series={**scaler.series, self.past["series"][0]: self.scales})


def forecasts_of(past: pl.DataFrame, channels: Iterable[str]) -> NDArray[np.float32]:
    """What was forecast of remembered rows (N, C)."""
    return past.select(f"forecast.{name}" for name in channels).to_numpy(order="c")


def count_recent(settings: DetectorSettings, warm_up_rows: int, num_steps: int) -> int:
    """How many rows to remember of a series: a long run, the mean of a short one, a window, and the gap of an event."""
    likelihood = settings.likelihood
    remembered = likelihood.long_run_rows + likelihood.short_run_rows + num_steps
    return max(remembered, count_gap_rows(settings.events.gap_share, warm_up_rows))


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Canonical rows of a series with the last ones that a detector remembers of it, at least one.

    `show` writes a time as people do.
    """

    rows: pl.DataFrame
    past: pl.DataFrame
    channels: Sequence[str]
    show: Callable[[int], str]

    def find_places(self, *, is_ordered: bool) -> NDArray[np.int64]:
        """The place of each row [N]: among those remembered (0 to K - 1), before them (negative), or after (from K).

        Rows that are ordered in time are known by it; some of those seen may be left out. Where times repeat or go
        back, rows are known by their succession. A missing number contradicts none that was seen.

        Raises InputError: E-DET-023 for a number that is not the one seen, E-DET-024 for a row that is neither later
        than all rows seen nor one of them.
        """
        return self._find_by_time() if is_ordered else self._find_by_succession()

    @cached_property
    def _times(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        given_N, seen_K = (table["time"].cast(pl.Int64).to_numpy() for table in (self.rows, self.past))
        return given_N, seen_K

    @cached_property
    def _values(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        names = [f"value.{name}" for name in self.channels]
        given_NC, seen_KC = (table.select(names).cast(pl.Float64).to_numpy() for table in (self.rows, self.past))
        return given_NC, seen_KC

    def _find_by_time(self) -> NDArray[np.int64]:
        given_N, seen_K = self._times
        place_N = np.searchsorted(seen_K, given_N)
        is_older, is_new = given_N < seen_K[0], given_N > seen_K[-1]
        place_N[is_older] -= np.arange(is_older.sum(), 0, -1)
        place_N[is_new] += np.arange(is_new.sum())
        at = np.flatnonzero(~is_older & ~is_new)
        unseen = at[seen_K[place_N[at]] != given_N[at]]
        if unseen.size:
            raise self._unseen(unseen[0])
        self._refuse_differences(at, place_N[at])
        return place_N

    def _find_by_succession(self) -> NDArray[np.int64]:
        given_N, seen_K = self._times
        aligned = [shift for shift in self._shifts() if self._has_same_times(shift)]
        if aligned:
            # Of several the one with the fewest differences, then with the longest overlap, then the latest.
            shift = min(aligned, key=lambda one: (self._count_differences(one), -len(self._overlap(one)), -one))
            at = self._overlap(shift)
            self._refuse_differences(at, at + shift)
            return np.arange(len(given_N)) + shift
        if given_N.min() > seen_K.max():
            return np.arange(len(given_N)) + len(seen_K)
        if given_N.max() < seen_K.min():
            return np.arange(len(given_N)) - len(given_N)
        raise self._unseen(int((given_N <= seen_K.max()).argmax()))

    def _shifts(self) -> Iterator[int]:
        """By how many rows the given may lie after those remembered: the first of the ones is among the others."""
        given_N, seen_K = self._times
        yield from np.flatnonzero(seen_K == given_N[0]).tolist()
        yield from (-np.flatnonzero(given_N[1:] == seen_K[0]) - 1).tolist()

    def _overlap(self, shift: int) -> NDArray[np.int64]:
        """The given rows that lie among those remembered."""
        given_N, seen_K = self._times
        return np.arange(max(0, -shift), min(len(given_N), len(seen_K) - shift))

    def _has_same_times(self, shift: int) -> bool:
        given_N, seen_K = self._times
        at = self._overlap(shift)
        return bool((given_N[at] == seen_K[at + shift]).all())

    def _count_differences(self, shift: int) -> int:
        at = self._overlap(shift)
        return int(self._differ(at, at + shift).any(axis=1).sum())

    def _differ(self, at: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which numbers of rows are not those seen (rows, C)."""
        given_NC, seen_KC = self._values
        return (given_NC[at] != seen_KC[places]) & ~np.isnan(given_NC[at])

    def _refuse_differences(self, at: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        differ = self._differ(at, places)
        if not differ.any():
            return
        row, channel = np.argwhere(differ)[0]
        (given_N, _), (given_NC, seen_KC) = self._times, self._values
        count = int(differ.any(axis=1).sum())
        raise InputError(
            "E-DET-023",
            f"series {self._name} has {given_NC[at[row], channel]} at {self.show(int(given_N[at[row]]))}, where "
            f"{seen_KC[places[row], channel]} was seen; {count} of {plural(len(at), 'row')} seen before changed.",
            fix=self._remedy,
            column=self.channels[channel],
        )

    def _unseen(self, row: int) -> InputError:
        time = self.show(int(self._times[0][row]))
        return InputError(
            "E-DET-024",
            f"series {self._name} has a row at {time}, which is not later than {self._last}, the last time seen, and "
            "is not one of the rows seen.",
            fix=self._remedy,
        )

    @property
    def _name(self) -> str:
        return quoted(self.rows["series"][0])

    @property
    def _last(self) -> str:
        return self.show(int(self._times[1].max()))

    @property
    def _remedy(self) -> str:
        return f"leave out its rows up to {self._last}, or train again if those seen were wrong."
