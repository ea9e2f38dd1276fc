"""How far rows lie from the ordinary ones of their series: a scale for each series and channel, from training rows.

Series of a panel may differ by many powers of ten, and an anomaly may lie a thousand deviations away: levels are linear
near the centre and logarithmic far from it (asinh), so that one forecaster reads all series.
Shapes: N rows, C channels, D features of the calendar.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.errors import InputError, plural, quoted
from tasks.panel.calendar import calendar_angles
from tasks.panel.frames import VALUES, bare_name


@dataclass(frozen=True, slots=True)
class LevelScale:
    """Centre and deviation of a series' ordinary rows."""

    centre: float
    deviation: float

    @classmethod
    def fit(cls, values: NDArray[np.float64]) -> "LevelScale":
        """Median and standard deviation of numbers that are not NaN; a series that stands still keeps its unit."""
        known = values[~np.isnan(values)]
        # A power of two near the largest number: dividing by it is exact and keeps squares within the range of floats.
        unit = float(np.ldexp(1.0, np.frexp(np.abs(known).max(initial=1.0))[1]))
        return cls(float(np.median(known)), float((known / unit).std() * unit) or 1.0)


@dataclass(frozen=True, kw_only=True)
class LevelScaler:
    """Turns numbers of series into levels and back; `series` holds the scales by series and channel.

    `missing` says what becomes of missing numbers, `calendar` and `zone` which features times have.
    """

    channels: tuple[str, ...]
    missing: str
    calendar: tuple[str, ...]
    zone: str | None
    series: dict[str, dict[str, LevelScale]]

    @property
    def covariates(self) -> list[str]:
        """Names of what `describe_times` says of a time."""
        return [f"{name}_{wave}" for name in self.calendar for wave in ("sin", "cos")]

    def knows(self, series: str) -> bool:
        """Whether the scales of a series are known."""
        return series in self.series

    def with_series(self, name: str, training: pl.DataFrame) -> "LevelScaler":
        """Learn the scales of a series from its training rows.

        Raises InputError (E-DET-003) for a channel without a number there.
        """
        return replace(self, series={**self.series, name: fit_scales(name, training, self.channels)})

    def fill(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Deal with the missing numbers of one series' rows: the last number stands for them, or the centre before any.

        Raises InputError (E-SER-009) with `missing = "error"`.
        """
        if self.missing == "error":
            _refuse_missing(rows)
        if not rows.height:
            return rows
        centres = self.series[rows["series"][0]]
        return rows.with_columns(VALUES.forward_fill()).with_columns(
            pl.col(f"value.{channel}").fill_null(scale.centre) for channel, scale in centres.items()
        )

    def levels(self, series: str, values_NC: NDArray[np.float64]) -> NDArray[np.float32]:
        """Levels of a series' rows (N, C)."""
        centre_C, deviation_C = self._scales(series)
        return one_by_one(math.asinh, (values_NC - centre_C) / deviation_C).astype(np.float32)

    def values(self, series: str, levels_NC: NDArray[np.float32]) -> NDArray[np.float64]:
        """What levels are in the units of the source (N, C)."""
        centre_C, deviation_C = self._scales(series)
        return one_by_one(sinh, levels_NC.astype(np.float64)) * deviation_C + centre_C

    def describe_times(self, times: pl.Series) -> NDArray[np.float32]:
        """Sine and cosine of where each time stands in each cycle of the calendar (N, D)."""
        angles_NA = pl.DataFrame({"time": times}).select(**calendar_angles(self.calendar, self.zone)).to_numpy()
        waves_NA2 = [one_by_one(wave, angles_NA) for wave in (math.sin, math.cos)]
        return np.stack(waves_NA2, axis=-1).reshape(len(times), 2 * len(self.calendar)).astype(np.float32)

    def values_of(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """The numbers of rows, channel by channel (N, C)."""
        return rows.select(f"value.{channel}" for channel in self.channels).to_numpy(order="c")

    def to_dict(self) -> dict:
        """The scaler as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "LevelScaler":
        """Rebuild a scaler from `to_dict`."""
        series = {
            name: {channel: LevelScale(**scale) for channel, scale in scales.items()}
            for name, scales in fields["series"].items()
        }
        lists = {name: tuple(fields[name]) for name in ("channels", "calendar")}
        read: dict[str, Any] = {**fields, **lists, "series": series}
        return cls(**read)

    def _scales(self, series: str) -> Sequence[NDArray[np.float64]]:
        scales = [self.series[series][channel] for channel in self.channels]
        return np.array([scale.centre for scale in scales]), np.array([scale.deviation for scale in scales])


def fit_scales(series: str, training: pl.DataFrame, channels: Iterable[str]) -> dict[str, LevelScale]:
    """Measure each channel of a series' training rows.

    Raises InputError (E-DET-003) for a channel without a number there.
    """
    scales = {}
    for channel in channels:
        values = training[f"value.{channel}"].fill_null(float("nan")).to_numpy()
        if np.isnan(values).all():
            raise InputError(
                "E-DET-003",
                f"has no number in the {plural(training.height, 'training row')} of series {quoted(series)}.",
                fix="leave the series out, or raise split.warm_up.",
                column=channel,
            )
        scales[channel] = LevelScale.fit(values)
    return scales


def _refuse_missing(rows: pl.DataFrame) -> None:
    for column in rows.select(VALUES):
        if column.null_count():
            time, series = rows.filter(column.is_null()).select("time", "series").row(0)
            raise InputError(
                "E-SER-009",
                f"a number is missing at {time} in series {quoted(series)}.",
                fix='fill it in, or set encode.missing to "forward".',
                column=bare_name(column.name),
            )


def one_by_one(function: Callable[[float], float], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The function of each number, in the shape of the array.

    A vectorised sine or logarithm may round a number otherwise where it stands elsewhere in an array: in the last lanes
    of a vector register, or in the remainder after them. What is said of a row would then depend on its neighbours.
    Sums, products, quotients and square roots need no such care: IEEE 754 fixes their last bit.
    """
    return np.array([function(value) for value in values.ravel().tolist()], np.float64).reshape(values.shape)


def sinh(value: float) -> float:
    """The hyperbolic sine, infinite beyond the range of floats."""
    try:
        return math.sinh(value)
    except OverflowError:
        return math.copysign(math.inf, value)
