"""Which time series to read, how their stamps are understood, and what is done about rows that break the grid."""

import re
import zoneinfo
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tasks.sources.settings import FileSettings

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
EARLIER_SPELLINGS = {"id_columns": ("id_column",), "time_columns": ("time_column", "time_of_day_column")}
MAX_COLUMNS = 1024
# What in a format reads the hour.
HOURS = ("%H", "%I", "%k", "%l", "%T", "%R", "%r", "%X", "%c", "%s")
FREQUENCY = re.compile(r"auto|1bd|[1-9]\d{0,8}(us|ms|s|m|h|d|w|mo|q|y)?")
# Columns of a wide table once it has a row per series and time.
SERIES, TIME, VALUE = "series", "time", "value"


def _listed(names: Any) -> Any:  # noqa: ANN401
    """Read nothing or one name as a list of it."""
    return [names] if isinstance(names, str) else names or []


ColumnName = Annotated[str, Field(min_length=1, max_length=256)]
# One name may stand for a list of one.
ColumnNames = Annotated[tuple[ColumnName, ...], BeforeValidator(_listed)]


def _respelled(given: Mapping, name: str, earlier: Sequence[str]) -> Mapping:
    """Settings with a list of columns in place of the settings that once named one each."""
    others = {key: value for key, value in given.items() if key not in earlier}
    lists = [_listed(given[spelling]) for spelling in earlier if given.get(spelling) is not None]
    columns = _listed(given.get(name))
    if not lists or not all(isinstance(names, Collection) for names in (columns, *lists)):
        return {name: lists[0], **others} if lists else others
    named = [column for names in lists for column in names]
    if columns and not set(named) <= set(columns):
        raise ValueError(f"{earlier[0]} is the earlier spelling of {name}, and the two differ; remove {earlier[0]}")
    return others | {name: columns or named}


class StampedSource(FileSettings):
    """Which columns hold ids, times and channels, and what is done about rows out of order.

    A table has a column per channel, or with `channel_column` a row per channel. In another `layout` a column, or a
    row, is a whole series.
    """

    free: ClassVar[frozenset[str]] = FileSettings.free | POLICIES
    # What has a row per series may name none of them.
    names_rows: ClassVar[bool] = False

    id_columns: ColumnNames = Field(
        (), max_length=8, description="Column, or columns, that identify the series; without them there is one series."
    )
    one_series_per_file: bool = Field(False, description="Each file is one series, named after the file.")
    layout: Literal["table", "series_per_column", "series_per_row"] = Field(
        "table",
        description="What a table looks like: a row per time, with columns of channels; or a whole series in each "
        "column, or in each row. `value_columns` then names the columns of numbers, by default all that are left.",
    )
    time_columns: ColumnNames = Field(
        (TIME,),
        max_length=8,
        description="Column, or columns, that hold the time of a row; the cells of several are joined by a space. With "
        '`layout = "series_per_row"` the time with which a series starts, or [] if the header holds the times.',
    )
    value_columns: ColumnNames = Field(
        (VALUE,), min_length=1, max_length=MAX_COLUMNS, description="Columns to forecast: the channels."
    )
    channel_column: ColumnName | None = Field(
        None, description="Column that names the channel, in a table with one row per series, time and channel."
    )
    time_format: str | None = Field(
        None, min_length=2, max_length=64, description='Format of the times, such as "%d/%m/%Y"; without it ISO 8601.'
    )
    time_unit: Literal["text", "s", "ms", "us", "ns", "step", "order"] = Field(
        "text",
        description="What times are: written as text, counted in a unit since 1970 UTC, plain steps, or in no column: "
        "with `order` each row of a series is a step.",
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
    missing_values: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        (), max_length=16, description='Texts that mean a missing value, such as "?", as empty cells, NA and null do.'
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

    @model_validator(mode="before")
    @classmethod
    def _knows_earlier_spellings(cls, given: object) -> object:
        return cls.respelled(given) if isinstance(given, Mapping) else given

    @classmethod
    def respelled(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Settings under their names of today; raises ValueError where both names are given and differ."""
        if given.get("time_of_day_column") is not None:
            given = {"time_column": None if "time_columns" in given else TIME, **given}
        for name, earlier in EARLIER_SPELLINGS.items():
            given = _respelled(given, name, earlier)
        return given

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
        if self.layout == "table":
            return self
        if self.channel_column is not None or self.one_series_per_file:
            raise ValueError(f'layout "{self.layout}" excludes channel_column and one_series_per_file')
        if self.layout == "series_per_column" and self.id_columns:
            raise ValueError('layout "series_per_column" names series after their columns; remove id_columns')
        if self.layout == "series_per_row" and not self.id_columns and not self.names_rows:
            raise ValueError('layout "series_per_row" needs id_columns, which identify the series of a row')
        return self

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
    def _has_times_or_an_order(self) -> Self:
        if self.time_unit == "order":
            if self.time_columns not in ((), (TIME,)):
                raise ValueError('time_unit "order" has no time_columns; remove one of the two')
            if self.channel_column is not None:
                raise ValueError('time_unit "order" excludes channel_column, whose channels may lack steps')
        elif not self.time_columns and self.layout != "series_per_row":
            raise ValueError('time_columns is empty; name a column, or set time_unit = "order"')
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

    @property
    def counts_rows(self) -> bool:
        """Whether no time is written anywhere, and each row is a step."""
        return self.time_unit == "order"

    @property
    def has_times(self) -> bool:
        """Whether columns hold the times of rows."""
        return not self.counts_rows and bool(self.time_columns)

    @property
    def has_times_in_header(self) -> bool:
        """Whether the columns of numbers are named after the times."""
        return self.layout == "series_per_row" and not self.counts_rows and not self.time_columns

    @property
    def first_time_column(self) -> str | None:
        """The column to name where a time is at fault, if there is one."""
        return self.time_columns[0] if self.has_times else None

    def laid_out(self, names: Sequence[str]) -> Self:
        """The settings for a table with these columns: in a layout other than "table", which of them hold numbers."""
        if self.layout == "table" or self.value_columns != (VALUE,):
            return self
        taken = {column for role, column in self.wanted_columns().items()}
        return self.model_copy(update={"value_columns": tuple(name for name in names if name not in taken)})

    def as_table(self) -> Self:
        """The settings of a table with a row per time that holds the same series."""
        if self.layout == "table":
            return self
        columns: dict[str, tuple[str, ...]] = {"id_columns": self.id_columns or (SERIES,), "value_columns": (VALUE,)}
        columns |= {"time_columns": (TIME,)} if self.has_times_in_header else {}
        return self.model_copy(update={"layout": "table", **columns})

    def named_columns(self) -> dict[str, str]:
        """The columns of ids, time, channel and values."""
        ids = {f"id {column}": column for column in self.id_columns}
        channel = {} if self.channel_column is None else {"channel": self.channel_column}
        has_values = self.layout == "table" or self.value_columns != (VALUE,)
        values = {f"value {column}": column for column in self.value_columns if has_values}
        return ids | self.time_roles() | channel | values

    def time_roles(self) -> dict[str, str]:
        """The columns of times, by role."""
        columns = self.time_columns if self.has_times else ()
        return {f"time {column}" if position else "time": column for position, column in enumerate(columns)}


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
