"""Which time series to read, how their stamps are understood, and what is done about rows that break the grid."""

import re
import zoneinfo
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tasks.sources.settings import FileSettings

PRESETS = {
    "files": {},
    "sea-temperature": {
        "format": "csv",
        "time_column": "time (UTC)",
        "value_columns": ("temperature (celsius)",),
    },
    "etth1": {
        "format": "csv",
        "time_column": "date",
        "value_columns": ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"),
    },
}
POLICIES = frozenset(
    {"unsorted", "duplicates", "expect_merged", "sentinels", "missing_values", "time_zone", "ambiguous_times"}
)
# What in a format reads the hour.
HOURS = ("%H", "%I", "%k", "%l", "%T", "%R", "%r", "%X", "%c", "%s")
FREQUENCY = re.compile(r"auto|[1-9]\d{0,8}(us|ms|s|m|h|d|w|mo|q|y)?")


def _listed(names: object) -> object:
    """Read nothing or one name as a list of it."""
    return [names] if isinstance(names, str) else names or []


ColumnName = Annotated[str, Field(min_length=1, max_length=256)]
# One name may stand for a list of one.
ColumnNames = Annotated[tuple[ColumnName, ...], BeforeValidator(_listed)]


class StampedSource(FileSettings):
    """Which columns hold ids, times and channels, and what is done about rows out of order.

    A table is wide, with a column per channel, or with `channel_column` long, with a row per channel.
    """

    free: ClassVar[frozenset[str]] = FileSettings.free | POLICIES

    id_columns: ColumnNames = Field(
        (), max_length=8, description="Column, or columns, that identify the series; without them there is one series."
    )
    one_series_per_file: bool = Field(False, description="Each file is one series, named after the file.")
    time_column: ColumnName = Field("time", description="Column that holds the time of a row.")
    value_columns: tuple[ColumnName, ...] = Field(
        ("value",), min_length=1, max_length=1024, description="Columns to forecast: the channels."
    )
    channel_column: ColumnName | None = Field(
        None, description="Column that names the channel, in a table with one row per series, time and channel."
    )
    time_of_day_column: ColumnName | None = Field(
        None, description="Column that holds the time of day, where `time_column` holds dates alone."
    )
    time_format: str | None = Field(
        None, min_length=2, max_length=64, description='Format of the times, such as "%d/%m/%Y"; without it ISO 8601.'
    )
    time_unit: Literal["text", "s", "ms", "us", "ns", "step"] = Field(
        "text", description="What times are: written as text, counted in a unit since 1970 UTC, or plain steps."
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
    sentinels: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] | None = Field(
        None,
        max_length=16,
        description="Numbers that mean a missing value; -999 and the like must be listed, or [] if they are values.",
    )

    @model_validator(mode="before")
    @classmethod
    def _knows_the_earlier_spelling(cls, given: object) -> object:
        if not isinstance(given, Mapping) or "id_column" not in given:
            return given
        others = {name: value for name, value in given.items() if name != "id_column"}
        earlier, columns = (_listed(names) for names in (given["id_column"], given.get("id_columns")))
        are_lists = isinstance(earlier, Iterable) and isinstance(columns, Iterable)
        if columns and are_lists and not set(earlier) <= set(columns):
            raise ValueError("id_column is the earlier spelling of id_columns, and the two differ; remove id_column")
        return others | {"id_columns": columns or earlier}

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
    def _names_columns_once(self) -> Self:
        columns = list(self.named_columns().values())
        repeated = sorted({column for column in columns if columns.count(column) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} is named for more than one purpose")
        return self

    @model_validator(mode="after")
    def _has_one_layout(self) -> Self:
        if self.id_columns and self.one_series_per_file:
            raise ValueError("id_columns and one_series_per_file exclude one another")
        if self.channel_column is not None and len(self.value_columns) > 1:
            raise ValueError("channel_column requires exactly one value column and no covariate columns")
        return self

    @model_validator(mode="after")
    def _reads_times_one_way(self) -> Self:
        if self.time_format is not None and self.time_unit != "text":
            raise ValueError('time_format needs time_unit "text"')
        if self.time_of_day_column is not None and self.time_unit != "text":
            raise ValueError('time_of_day_column needs time_unit "text"')
        if self.time_of_day_column is not None and self.time_format is not None and self.has_days_alone:
            raise ValueError("with time_of_day_column, time_format reads both columns with a space between them")
        if self.time_unit == "step" and self.time_zone is not None:
            raise ValueError('time_unit "step" has no time_zone')
        return self

    @property
    def decimal_mark(self) -> str:
        """What stands before the fraction of a number in a text."""
        return self.decimal

    @property
    def has_days_alone(self) -> bool:
        """Whether `time_format` reads no time of day."""
        return self.time_format is not None and not any(hour in self.time_format for hour in HOURS)

    def named_columns(self) -> dict[str, str]:
        """The columns of ids, time, channel and values."""
        ids = {f"id {column}": column for column in self.id_columns}
        channel = {} if self.channel_column is None else {"channel": self.channel_column}
        values = {f"value {column}": column for column in self.value_columns}
        clock = {} if self.time_of_day_column is None else {"time of day": self.time_of_day_column}
        return ids | {"time": self.time_column} | clock | channel | values


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
        "auto", description='Step of the series, such as "30m", "1h", "1d", "1mo"; `auto` uses the most frequent one.'
    )
    gaps: Literal["cut", "error"] = Field(
        "cut", description="What to do about missing steps: `cut` lets no window span them, and reports them."
    )

    @field_validator("frequency")
    @classmethod
    def _is_a_frequency(cls, frequency: str) -> str:
        if not FREQUENCY.fullmatch(frequency):
            raise ValueError(
                f"{frequency} is not a frequency; write a number and us, ms, s, m, h, d, w, mo, q or y, such as 30m, "
                "or a number of steps"
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
        if self.frequency != "auto" and counts_steps != (self.time_unit == "step"):
            raise ValueError('a frequency without a unit is required by time_unit "step", and only allowed there')
        return self

    def named_columns(self) -> dict[str, str]:
        """The columns of ids, time, channel, values and covariates."""
        return super().named_columns() | {f"known {column}": column for column in self.covariate_columns}
