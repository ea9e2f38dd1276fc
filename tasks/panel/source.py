"""Which time series to read, how their stamps are understood, and what is done about rows that break the grid."""

import re
import zoneinfo
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.panel.layout import LaidOutSource
from tasks.sources.settings import ColumnName, FileSettings

PRESETS = {
    "files": {},
    "sea-temperature": {
        "format": "csv",
        "time_columns": ("time (UTC)",),
        "value_columns": ("temperature (celsius)",),
    },
    "etth1": {
        "format": "csv",
        "time_columns": ("date",),
        "value_columns": ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"),
    },
}
POLICIES = frozenset(
    {"unsorted", "duplicates", "expect_merged", "sentinels", "missing_values", "time_zone", "ambiguous_times"}
)
# What in a format reads the hour.
HOURS = ("%H", "%I", "%k", "%l", "%T", "%R", "%r", "%X", "%c", "%s")
FREQUENCY = re.compile(r"auto|1bd|[1-9]\d{0,8}(us|ms|s|m|h|d|w|mo|q|y)?")


class StampedSource(LaidOutSource):
    """Which columns hold ids, times and channels, how they are read, and what is done about rows out of order.

    A table has a column per channel, or with `channel_column` a row per channel. In another `layout` a column, or a
    row, is a whole series.
    """

    free: ClassVar[frozenset[str]] = FileSettings.free | POLICIES

    time_format: str | None = Field(
        None, min_length=2, max_length=64, description='Format of the times, such as "%d/%m/%Y"; without it ISO 8601.'
    )
    time_zone: str | None = Field(
        None, max_length=64, description="IANA zone of times without an offset, and of the days and months."
    )
    ambiguous_times: Literal["error", "earliest", "latest", "order"] = Field(
        "error",
        description="Which of two times is meant when clocks go back; with `order` the first row is the earlier.",
    )
    unsorted: Literal["error", "sort", "keep"] = Field(
        "error", description="What to do about rows that go back in time; `keep` leaves them where they are."
    )
    duplicates: Literal["error", "first", "last", "mean", "keep"] = Field(
        "error", description="What to do about rows of one series and time; `keep` treats each as a separate step."
    )
    expect_merged: bool = Field(
        False,
        description="Confirms that rows to merge are one measurement, even if they are more than 1 % of all rows or "
        "another column distinguishes them.",
    )
    decimal: Literal[".", ","] = Field(".", description="Decimal mark of the numbers in texts.")
    thousands: Literal["", ".", ",", " ", "'", "_"] = Field(
        "", description="Mark between groups of three digits in the numbers in texts; none by default."
    )
    sentinels: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] | None = Field(
        None,
        max_length=16,
        description="Numbers that mean a missing value; -999 and the like must be listed, or [] if they are values.",
    )

    @field_validator("time_zone")
    @classmethod
    def _names_a_zone(cls, time_zone: str | None) -> str | None:
        try:
            return time_zone and zoneinfo.ZoneInfo(time_zone).key
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f'{time_zone} is not an IANA time zone; write one such as "Europe/Paris" or "UTC"'
            ) from None

    @field_validator("time_format")
    @classmethod
    def _reads_no_zone_names(cls, time_format: str | None) -> str | None:
        # Their letters stand for several zones, and the parser skips them.
        if time_format is not None and "%Z" in time_format:
            raise ValueError("%Z is not read; use %z for offsets, or cut the name off and set time_zone")
        return time_format

    @model_validator(mode="after")
    def _reads_times_one_way(self) -> Self:
        if self.time_format is not None and self.time_unit != "text":
            raise ValueError('time_format needs time_unit "text"')
        if len(self.time_columns) > 1 and self.time_unit != "text":
            raise ValueError('several time_columns need time_unit "text"')
        if self.time_format is not None and len(self.time_format.split()) < len(self.time_columns):
            raise ValueError("time_format reads the cells of all time_columns with a space between them")
        if self.time_unit in ("step", "order") and self.time_zone is not None:
            raise ValueError(f'time_unit "{self.time_unit}" has no time_zone')
        return self

    @model_validator(mode="after")
    def _marks_numbers_one_way(self) -> Self:
        if self.thousands == self.decimal:
            raise ValueError(f'thousands and decimal are both "{self.decimal}"')
        return self

    @property
    def decimal_mark(self) -> str:
        """What stands before the fraction of a number in a text."""
        return self.decimal

    @property
    def has_days_alone(self) -> bool:
        """Whether `time_format` reads no time of day."""
        return self.time_format is not None and not any(hour in self.time_format for hour in HOURS)


class OrderedSource(StampedSource):
    """Rows that stand in the order of their times, one for each."""

    unsorted: Literal["error", "sort"] = Field("error", description="What to do about rows that go back in time.")
    duplicates: Literal["error", "first", "last", "mean"] = Field(
        "error", description="What to do about rows of one series and time; `first`, `last` and `mean` merge them."
    )


class SeriesSource(OrderedSource):
    """Which files hold the series, which columns are their ids, times, channels and covariates.

    A table is wide, with a column per channel, or with `channel_column` long, with a row per channel.
    """

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = PRESETS
    free: ClassVar[frozenset[str]] = StampedSource.free | {"gaps"}

    dataset: Literal["sea-temperature", "etth1", "files"] = Field(
        "files",
        description="`sea-temperature` is in an installed package, `etth1` is downloaded, `files` are your own.",
    )
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet"] = Field(
        "auto", description="How files are read; `auto` goes by the suffix."
    )
    covariate_columns: tuple[ColumnName, ...] = Field(
        (), max_length=1024, description="Columns whose future is known in advance."
    )
    frequency: str = Field(
        "auto",
        description='Step of the series, such as "30m", "1h", "1d", "1mo", or "1bd" for days from Monday to Friday; '
        "`auto` uses the most frequent one.",
    )
    gaps: Literal["cut", "error", "span"] = Field(
        "cut",
        description="What to do about missing steps: `cut` lets no window span them, and reports them; with `span` "
        "rows that follow one another are steps, as where markets are closed at night.",
    )

    @field_validator("frequency")
    @classmethod
    def _is_a_frequency(cls, frequency: str) -> str:
        if not FREQUENCY.fullmatch(frequency):
            raise ValueError(
                f"{frequency} is not a frequency; write a number and us, ms, s, m, h, d, w, mo, q or y, such as 30m, "
                "1bd for business days, or a number of steps"
            )
        return frequency

    @model_validator(mode="after")
    def _knows_covariates_of_wide_tables(self) -> Self:
        if self.channel_column is not None and self.covariate_columns:
            raise ValueError("channel_column requires exactly one value column and no covariate columns")
        return self

    @model_validator(mode="after")
    def _counts_steps_or_time(self) -> Self:
        counts_steps = self.frequency.isdigit()
        if self.frequency != "auto" and counts_steps != (self.time_unit in ("step", "order")):
            raise ValueError('a frequency without a unit is required by time_unit "step", and only allowed there')
        if self.time_unit == "order" and self.frequency not in ("auto", "1"):
            raise ValueError('time_unit "order" makes each row one step; remove frequency')
        if self.layout == "series_per_row" and self.has_times and self.frequency == "auto":
            raise ValueError('layout "series_per_row" with a start in time_columns needs a frequency')
        return self

    def named_columns(self) -> dict[str, str]:
        """The columns of ids, time, channel, values and covariates."""
        return super().named_columns() | {f"known {column}": column for column in self.covariate_columns}
