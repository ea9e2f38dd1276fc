"""Numbers as a model wants them, and back: fitted on training rows once, then the same in training and in serving."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from tasks.errors import InputError, quoted
from tasks.panel.calendar import calendar_features
from tasks.panel.frames import bare_name

# The standard deviation of a normal distribution, in distances between its quartiles.
DEVIATIONS_PER_QUARTILE_RANGE = 1 / 1.349
# Below this share of the largest number, differences are rounding.
ROUNDING = 8 * np.finfo(np.float64).eps
# Fewer numbers of a series do not tell its scale.
LEAST_NUMBERS = 4
# What a policy for missing numbers puts in their places.
FILLED = {"forward": "the last number before", "mean": "the training mean"}
FIGURES = ("centre", "scale", "mean")


@dataclass(frozen=True, slots=True)
class ColumnScale:
    """A column in scaled units is (number - centre) / scale; `mean` stands for numbers that are missing."""

    centre: float
    scale: float
    mean: float
    is_constant: bool


@dataclass(frozen=True, kw_only=True)
class Units:
    """What scaled numbers are in the units of the source, `number * scale + centre`; both float64 [items, channels]."""

    centre: np.ndarray
    scale: np.ndarray

    def take(self, items: np.ndarray) -> "Units":
        """The units of some items."""
        return Units(centre=self.centre[items], scale=self.scale[items])

    def restore(self, values: np.ndarray) -> np.ndarray:
        """Turn scaled values [items, steps, channels, ...] back into the units of the source, Float64."""
        shape = (len(self.scale), 1, self.scale.shape[1], *[1] * (values.ndim - 3))
        return values.astype(np.float64) * self.scale.reshape(shape) + self.centre.reshape(shape)


@dataclass(frozen=True, slots=True)
class OwnScales:
    """The scales that each series has of its own, by its name, in the order of `columns`."""

    columns: tuple[str, ...]
    series: dict[str, tuple[ColumnScale, ...]]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "OwnScales":
        """Rebuild the scales from the lists that they are stored as."""
        series = {name: tuple(ColumnScale(*one) for one in scales) for name, scales in values["series"].items()}
        return cls(columns=tuple(values["columns"]), series=series)

    def of(self, column: str) -> list[tuple[str, ColumnScale]]:
        """Each series with its scale in a column."""
        position = self.columns.index(column)
        return [(name, scales[position]) for name, scales in self.series.items()]


@dataclass(frozen=True, slots=True)
class Scaler:
    """What turns canonical rows into scaled ones: a scale per column, calendar features, what missing numbers become.

    `columns` has the keys `value.<channel>` and `known.<covariate>`; `zone` is that of the calendar. Where series have
    scales of their own, these stand for the ones that all share.
    """

    method: str
    missing: str
    calendar: tuple[str, ...]
    zone: str | None
    columns: dict[str, ColumnScale]
    own: OwnScales | None = None

    @property
    def covariates(self) -> list[str]:
        """Names of all covariates of a scaled frame: the user's, then those of the calendar."""
        known = [name for name in self.columns if name.startswith("known.")]
        return [name.removeprefix("known.") for name in (*known, *calendar_features(self.calendar, self.zone))]

    def knows(self, series: str) -> bool:
        """Whether rows of a series can be scaled."""
        return self.own is None or series in self.own.series

    def covering(self, names: Sequence[str], rows: pl.DataFrame) -> "Scaler":
        """Know these series and no others: as they were trained on, or else measured on these rows.

        A series of which the rows hold too few numbers stays unknown.
        """
        if self.own is None:
            return self
        scales = {name: self.own.series[name] for name in names if name in self.own.series}
        new = [name for name in names if name not in scales]
        if new:
            scales |= measure_series(rows.filter(pl.col("series").is_in(new)), self.own.columns, self.method)
        return replace(self, own=replace(self.own, series=scales))

    def transform(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Impute, scale to Float32, and add calendar features; columns of numbers that are not there are left out.

        With `missing = "cut"` rows with a missing number are dropped. Filling forward stays within a series and takes
        the training mean where nothing came before. Raises InputError (E-SER-009) with `missing = "error"`.
        """
        present = [name for name in self.columns if name in rows.columns]
        others = [name for name in rows.columns if not name.startswith(("value.", "known."))]
        features = calendar_features(self.calendar, self.zone)
        values = [name for name in present if name.startswith("value.")]
        known = [name for name in present if name.startswith("known.")]
        scaled = [self.scaled(name).cast(pl.Float32) for name in present]
        filled = self._impute(self.with_figures(rows), present).with_columns(scaled).with_columns(**features)
        return filled.select(*others, *values, *known, *features)

    def scaled(self, name: str) -> pl.Expr:
        """A column of a frame `with_figures` in scaled units, Float64."""
        return (pl.col(name) - self.figure(name, "centre")) / self.figure(name, "scale")

    def figure(self, name: str, figure: str) -> pl.Expr:
        """The centre, scale or mean of a column in each row of a frame `with_figures`."""
        if self.own is not None and name in self.own.columns:
            return pl.col(f"{figure}.{name}")
        return pl.lit(getattr(self.columns[name], figure))

    def with_figures(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add the scales that a row's series has of its own, looked up once for each series of the frame."""
        if self.own is None:
            return rows
        names = rows["series"].unique(maintain_order=True)
        table = {"series": names}
        for position, column in enumerate(self.own.columns):
            scales = [self.own.series[name][position] for name in names]
            for figure in FIGURES:
                figures = [getattr(scale, figure) for scale in scales]
                table[f"{figure}.{column}"] = pl.Series(figures, dtype=pl.Float64)
        return rows.join(pl.DataFrame(table), on="series", how="left", maintain_order="left")

    def units(self, series: Sequence[str], channels: Sequence[str]) -> Units:
        """The units of some series that are known, one item each."""
        columns = [f"value.{channel}" for channel in channels]
        shared = np.array([[getattr(self.columns[name], part) for name in columns] for part in ("centre", "scale")])
        figures = np.repeat(shared[:, None], len(series), axis=1)
        for position, name in enumerate(columns):
            if self.own is not None and name in self.own.columns:
                index = self.own.columns.index(name)
                scales = [self.own.series[one][index] for one in series]
                figures[:, :, position] = [[getattr(scale, part) for scale in scales] for part in ("centre", "scale")]
        return Units(centre=figures[0], scale=figures[1])

    def to_dict(self) -> dict:
        """The scaler as JSON values; the series' own scales are lists, since there may be very many of them."""
        shared = asdict(replace(self, own=None))
        del shared["own"]
        if self.own is None:
            return shared
        series = {
            name: [[one.centre, one.scale, one.mean, one.is_constant] for one in scales]
            for name, scales in self.own.series.items()
        }
        return shared | {"own": {"columns": list(self.own.columns), "series": series}}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Scaler":
        """Rebuild a scaler from `to_dict`."""
        own = values.get("own")
        read: dict[str, Any] = {
            **values,
            "columns": {name: ColumnScale(**scale) for name, scale in values["columns"].items()},
            "calendar": tuple(values["calendar"]),
            "own": None if own is None else OwnScales.from_dict(own),
        }
        return cls(**read)

    def _impute(self, rows: pl.DataFrame, names: list[str]) -> pl.DataFrame:
        if self.missing == "cut":
            return rows.drop_nulls(names)
        if self.missing == "error":
            _refuse_missing(rows, names)
        if self.missing == "forward":
            rows = rows.with_columns(pl.col(names).forward_fill().over("series"))
        return rows.with_columns(pl.col(name).fill_null(self.figure(name, "mean")) for name in names)


def _refuse_missing(rows: pl.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        missing = rows.filter(pl.col(name).is_null())
        if missing.height:
            series, time = missing.select("series", "time").row(0)
            raise InputError(
                "E-SER-009",
                f"a number is missing at {time} in series {quoted(series)}.",
                fix='fill it in, or set encode.missing to "cut", "forward" or "mean".',
                column=bare_name(name),
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
            column=bare_name(name),
        )
    # A power of two close to the largest number: dividing by it is exact and keeps squares within the range of floats.
    unit = float(np.ldexp(1.0, np.frexp(np.abs(there).max())[1]))
    centre, scale = (figure * unit for figure in _measure(there / unit, method))
    is_constant = scale <= max(ROUNDING * unit, np.finfo(np.float64).tiny)
    if method == "none":
        centre, scale = 0.0, 1.0
    return ColumnScale(centre, 1.0 if is_constant else scale, float(there.mean()), bool(is_constant))


def measure_series(rows: pl.DataFrame, columns: Sequence[str], method: str) -> dict[str, tuple[ColumnScale, ...]]:
    """Measure the columns of each series in rows sorted by series, without those that hold too few numbers in one."""
    runs = rows["series"].rle().struct.unnest()
    ends = runs["len"].cum_sum().to_numpy()
    parts = [np.split(rows[name].fill_null(float("nan")).to_numpy(), ends[:-1]) for name in columns]
    return {
        name: tuple(_fit_own_scale(column, numbers, method) for column, numbers in zip(columns, of_series, strict=True))
        for name, of_series in zip(runs["value"], zip(*parts, strict=True), strict=False)
        if min(np.count_nonzero(~np.isnan(numbers)) for numbers in of_series) >= LEAST_NUMBERS
    }


def _fit_own_scale(column: str, numbers: np.ndarray, method: str) -> ColumnScale:
    """Measure one series; where it stands still, its size is its unit, and 1 if that is 0."""
    scale = fit_scale(column, numbers, method)
    return replace(scale, scale=abs(scale.centre) or 1.0) if scale.is_constant else scale


def _measure(numbers: np.ndarray, method: str) -> tuple[float, float]:
    """Centre and scale of numbers; where half of them are equal, the robust scale is the standard deviation."""
    deviation = float(numbers.std())
    if method == "minmax":
        return float(numbers.min()), float(numbers.max() - numbers.min())
    if method == "robust":
        lower, median, upper = (float(quartile) for quartile in np.quantile(numbers, (0.25, 0.5, 0.75)))
        return median, (upper - lower) * DEVIATIONS_PER_QUARTILE_RANGE or deviation
    return float(numbers.mean()), deviation
