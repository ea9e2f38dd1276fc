"""Where a table has the ids, times and numbers of series: columns of a row per time, or whole series side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from tasks.sources.settings import ColumnName, ColumnNames, FileSettings

MAX_COLUMNS = 1024
# Columns of a wide table once it has a row per series and time.
SERIES, TIME, VALUE = "series", "time", "value"


class LaidOutSource(FileSettings):
    """Which columns hold what, in which layout."""

    earlier_spellings: ClassVar = {
        "id_columns": ("id_column",),
        "time_columns": ("time_column", "time_of_day_column"),
    }
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
    time_unit: Literal["text", "s", "ms", "us", "ns", "step", "order"] = Field(
        "text",
        description="What times are: written as text, counted in a unit since 1970 UTC, plain steps, or in no column: "
        "with `order` each row of a series is a step.",
    )

    # Whether the columns of numbers of a wide table are known.
    _is_laid_out: bool = PrivateAttr(default=False)

    @classmethod
    def respelled(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """As of any source; a time of day by itself goes with the column that holds times by default."""
        if given.get("time_of_day_column") is not None:
            given = {"time_column": None if "time_columns" in given else TIME, **given}
        return super().respelled(given)

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
    def _has_times_or_an_order(self) -> Self:
        if self.time_unit == "order":
            if self.time_columns not in ((), (TIME,)):
                raise ValueError('time_unit "order" has no time_columns; remove one of the two')
            if self.channel_column is not None:
                raise ValueError('time_unit "order" excludes channel_column, whose channels may lack steps')
        elif not self.time_columns and self.layout != "series_per_row":
            raise ValueError('time_columns is empty; name a column, or set time_unit = "order"')
        return self

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
        if self.layout == "table":
            return self
        laid_out = self.model_copy(update={"value_columns": self.number_columns(names)})
        laid_out._is_laid_out = True
        return laid_out

    def number_columns(self, names: Sequence[str]) -> tuple[str, ...]:
        """Which of the columns of a wide table hold numbers: those that the settings name, or all that are left."""
        if self._names_values:
            return self.value_columns
        others = {*self.wanted_columns().values(), *self.unread()}
        return tuple(name for name in names if name not in others)

    def unread(self) -> tuple[str, ...]:
        """Columns besides those of the source that hold no numbers of series."""
        return ()

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
        values = {f"value {column}": column for column in self.value_columns if self._names_values}
        return ids | self.time_roles() | channel | values

    @property
    def _names_values(self) -> bool:
        return self.layout == "table" or self._is_laid_out or self.value_columns != (VALUE,)

    def time_roles(self) -> dict[str, str]:
        """The columns of times, by role."""
        columns = self.time_columns if self.has_times else ()
        return {f"time {column}" if position else "time": column for position, column in enumerate(columns)}
