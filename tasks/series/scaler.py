"""Numbers as a model wants them, and back: fitted on training rows once, then the same in training and in serving."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from tasks.errors import InputError, quoted
from tasks.series.calendar import calendar_features

# The standard deviation of a normal distribution, in distances between its quartiles.
DEVIATIONS_PER_QUARTILE_RANGE = 1 / 1.349
# Below this share of the largest number, differences are rounding.
ROUNDING = 8 * np.finfo(np.float64).eps


@dataclass(frozen=True, slots=True)
class ColumnScale:
    """A column in scaled units is (number - centre) / scale; `mean` stands for numbers that are missing."""

    centre: float
    scale: float
    mean: float
    is_constant: bool


@dataclass(frozen=True, slots=True)
class Scaler:
    """What turns canonical rows into scaled ones: a scale per column, calendar features, what missing numbers become.

    `columns` has the keys `value.<channel>` and `known.<covariate>`; `zone` is that of the calendar.
    """

    method: str
    missing: str
    calendar: tuple[str, ...]
    zone: str | None
    columns: dict[str, ColumnScale]

    @property
    def covariates(self) -> list[str]:
        """Names of all covariates of a scaled frame: the user's, then those of the calendar."""
        known = [name for name in self.columns if name.startswith("known.")]
        return [name.removeprefix("known.") for name in (*known, *calendar_features(self.calendar, self.zone))]

    def transform(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Impute, scale to Float32, and add calendar features; columns of numbers that are not there are left out.

        With `missing = "cut"` rows with a missing number are dropped. Filling forward stays within a series and takes
        the training mean where nothing came before. Raises InputError (E-SER-009) with `missing = "error"`.
        """
        present = [name for name in self.columns if name in rows.columns]
        scaled = [((pl.col(name) - s.centre) / s.scale).cast(pl.Float32) for name, s in self._of(present)]
        others = [name for name in rows.columns if not name.startswith(("value.", "known."))]
        features = calendar_features(self.calendar, self.zone)
        values = [name for name in present if name.startswith("value.")]
        known = [name for name in present if name.startswith("known.")]
        filled = self._impute(rows, present).with_columns(scaled).with_columns(**features)
        return filled.select(*others, *values, *known, *features)

    def inverse(self, values: np.ndarray, channels: Sequence[str], *, axis: int = -1) -> np.ndarray:
        """Turn scaled values back into the units of the source, Float64; `axis` is that of the channels."""
        scales = [self.columns[f"value.{channel}"] for channel in channels]
        shape = [1] * values.ndim
        shape[axis] = len(scales)
        centre, scale = (np.reshape([getattr(s, part) for s in scales], shape) for part in ("centre", "scale"))
        return values.astype(np.float64) * scale + centre

    def to_dict(self) -> dict:
        """The scaler as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Scaler":
        """Rebuild a scaler from `to_dict`."""
        columns = {name: ColumnScale(**scale) for name, scale in values["columns"].items()}
        return cls(**values | {"columns": columns, "calendar": tuple(values["calendar"])})

    def _of(self, names: Sequence[str]) -> list[tuple[str, ColumnScale]]:
        return [(name, self.columns[name]) for name in names]

    def _impute(self, rows: pl.DataFrame, names: list[str]) -> pl.DataFrame:
        if self.missing == "cut":
            return rows.drop_nulls(names)
        if self.missing == "error":
            _refuse_missing(rows, names)
        if self.missing == "forward":
            rows = rows.with_columns(pl.col(names).forward_fill().over("series"))
        return rows.with_columns(pl.col(name).fill_null(scale.mean) for name, scale in self._of(names))


def _refuse_missing(rows: pl.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        missing = rows.filter(pl.col(name).is_null())
        if missing.height:
            series, time = missing.select("series", "time").row(0)
            raise InputError(
                "E-SER-009",
                f"a number is missing at {time} in series {quoted(series)}.",
                fix='fill it in, or set encode.missing to "cut", "forward" or "mean".',
                column=name.partition(".")[2],
            )


def fit_scale(name: str, numbers: np.ndarray, method: str) -> ColumnScale:
    """Measure a column of training numbers, Float64 with NaN where they are missing.

    Raises InputError (E-SER-008) if none is there.
    """
    there = numbers[~np.isnan(numbers)]
    if not there.size:
        raise InputError(
            "E-SER-008",
            "has no number in the training rows.",
            fix="leave the column out, or let training rows begin earlier or end later.",
            column=name.partition(".")[2],
        )
    if method == "none":
        return ColumnScale(0.0, 1.0, float(there.mean()), is_constant=False)
    # A power of two close to the largest number: dividing by it is exact and keeps squares within the range of floats.
    unit = float(np.ldexp(1.0, np.frexp(np.abs(there).max())[1]))
    centre, scale = (figure * unit for figure in _measure(there / unit, method))
    is_constant = scale <= max(ROUNDING * unit, np.finfo(np.float64).tiny)
    return ColumnScale(centre, 1.0 if is_constant else scale, float(there.mean()), bool(is_constant))


def _measure(numbers: np.ndarray, method: str) -> tuple[float, float]:
    """Centre and scale of numbers; where half of them are equal, the robust scale is the standard deviation."""
    deviation = float(numbers.std())
    if method == "minmax":
        return float(numbers.min()), float(numbers.max() - numbers.min())
    if method == "robust":
        lower, median, upper = (float(quartile) for quartile in np.quantile(numbers, (0.25, 0.5, 0.75)))
        return median, (upper - lower) * DEVIATIONS_PER_QUARTILE_RANGE or deviation
    return float(numbers.mean()), deviation
