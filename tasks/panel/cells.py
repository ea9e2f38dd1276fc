"""Raw cells of a table to rows of numbers on one time line, with the place of every fault."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

import polars as pl
import pyarrow as pa

from tasks.errors import InputError, quoted
from tasks.panel.clocks import TimeLine, check_instants, place_instants
from tasks.panel.layout import SERIES, VALUE
from tasks.panel.names import join_names
from tasks.panel.number_texts import check_numbers, parse_numbers
from tasks.panel.source import SeriesSource, StampedSource
from tasks.panel.stamp_parts import join_stamps
from tasks.panel.time_grid import TimeGrid
from tasks.panel.timestamps import check_clocks, read_clocks
from tasks.sources.intake import Intake
from tasks.sources.row_checks import Check, filter_rows, plain, refuse_rows

ONLY_SERIES = "series"
MISSING = ("", "na", "nan", "n/a", "null", "none")
# What loggers write for want of a measurement.
SUSPECTS = (-999.0, -9999.0, -99999.0)
# Squares of larger numbers, summed over any source, would leave the range of floats.
LARGEST = 1e30
VALUE_ROLE = "value "


class RowParser:
    """Parses the batches of a source; remembers the kind of its times and how often sentinels stood for values.

    File, line and series of the rows that its checks refused are in `refused`. `settings` are those of a table with a
    row per series and time, as which a wide table is read.
    In a table with a row per channel, rows of other than the given `channels` are left out and counted by name.
    """

    def __init__(self, settings: StampedSource, *, channels: Sequence[str] | None = None) -> None:
        self.time_line = TimeLine(settings.as_table())
        self.sentinels: Counter[str] = Counter()
        self.other_channels: Counter[str] = Counter()
        self.refused: list[pl.DataFrame] = []
        self.source, self.settings = settings, settings.as_table()
        self._num_steps: Counter[str] = Counter()
        self._num_rows = 0
        self.known_channels = channels

    def __call__(self, raw: pl.DataFrame, intake: Intake) -> pl.DataFrame:
        """Return the good rows, with the columns of `schema`.

        Raises InputError: E-TIME-001 to E-TIME-012, E-TIME-017, E-TIME-018, E-SER-001 to E-SER-004.
        """
        raw = self._unfolded(filter_rows(raw, intake))
        stripped = [pl.col(role).str.strip_chars() for role in (*self._stamps, *self._numbers)]
        # Names that no eye can tell apart are one, as labels are.
        stripped += [plain(pl.col(role)).str.strip_chars() for role in self._names]
        rows = self._without_other_channels(raw.with_columns(stripped)).with_columns(self._series().alias("series"))
        rows = self._with_clocks(self._stamped(rows)).with_columns(place_instants(self.settings))
        rows = rows.with_columns(**self._parsed_numbers())
        rows = rows.with_row_index("position")  # rows of one sequence may share their line
        good = refuse_rows(rows, self._checks, intake)
        if good.height < rows.height:
            self.refused.append(rows.join(good, on="position", how="anti").select("file", "line", "series"))
        settled = self._after_start(self.time_line.settle(good))
        return self._without_sentinels(settled).select(self.schema.names)

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns of a good row: file, line, series, time, perhaps later and channel, value.* and known.*."""
        place = {"file": pa.large_string(), "line": pa.uint64(), "series": pa.large_string(), "time": pa.int64()}
        place |= {"later": pa.int64()} if self.settings.ambiguous_times == "order" else {}
        names = dict.fromkeys(self._channel, pa.large_string()) | dict.fromkeys(self.columns, pa.float64())
        return pa.schema(place | names)

    def checks(self) -> list[Check]:
        """List what a row must be, in the order in which the checks speak."""
        names = [
            Check(
                "E-SER-004",
                role,
                pl.col(role).fill_null("") == "",
                f"got no {role.partition(' ')[0]}.",
                "fill it in, or drop the row.",
            )
            for role in self._names
        ]
        numbers = [check for role, name in self._numbers.items() for check in self._number_checks(role, name)]
        return [*check_clocks(self.settings), *check_instants(self.settings), *names, *numbers]

    @cached_property
    def columns(self) -> list[str]:
        """Names of the columns of numbers: `value.<name>`, then `known.<name>`."""
        return list(self._numbers.values())

    @cached_property
    def _numbers(self) -> dict[str, str]:
        roles = self.settings.named_columns()
        return {role: role.replace(" ", ".", 1) for role in roles if role.startswith(("value ", "known "))}

    @cached_property
    def _names(self) -> list[str]:
        return [role for role in self.settings.named_columns() if role.partition(" ")[0] in ("id", "channel")]

    @property
    def _channel(self) -> list[str]:
        return ["channel"] if "channel" in self._names else []

    def _without_other_channels(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self.known_channels is None or not self._channel:
            return rows
        # A row that names no channel is not one of another.
        is_other = ~pl.col("channel").fill_null("").is_in(["", *self.known_channels])
        self.other_channels.update(dict(rows.filter(is_other)["channel"].value_counts().iter_rows()))
        return rows.filter(~is_other)

    def _with_clocks(self, rows: pl.DataFrame) -> pl.DataFrame:
        try:
            return read_clocks(rows, self.settings)
        except pl.exceptions.ComputeError as error:  # only a format can be at fault
            reason = str(error).partition("\n")[0]
            raise InputError(
                "E-TIME-018",
                f"cannot be read with time_format {quoted(self.settings.time_format)} ({quoted(reason)}).",
                fix="correct time_format; it needs year, month and day, and with a minute also an hour.",
                column=self.settings.first_time_column,
            ) from error

    @cached_property
    def _stamps(self) -> list[str]:
        return list(self.settings.time_roles())

    def _stamped(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with the text of their time, or where none is written, with their number in their series."""
        if self._stamps:
            return rows.with_columns(time=join_stamps(self.settings, self._stamps))
        if "step" not in rows.columns:
            numbered = rows.select(name="series", step=pl.int_range(pl.len(), dtype=pl.Int64).over("series"))
            known = pl.DataFrame(list(self._num_steps.items()), {"name": pl.String, "first": pl.Int64}, orient="row")
            first = numbered.join(known, on="name", how="left", maintain_order="left")["first"].fill_null(0)
            rows = rows.with_columns(step=numbered["step"] + first)
            self._num_steps.update(dict(rows["series"].drop_nulls().value_counts().iter_rows()))
        return rows

    def _unfolded(self, raw: pl.DataFrame) -> pl.DataFrame:
        """The cells of a wide table, a row for each; `of column` names the column of one."""
        if self.source.layout == "table":
            return raw
        columns = [name for name in raw.columns if name.startswith(VALUE_ROLE)]
        numbered = raw.with_row_index("at").with_columns(file_row=pl.col("at") + self._num_rows + 1)
        self._num_rows += raw.height
        index = [name for name in numbered.columns if name not in columns]
        cells = numbered.unpivot(columns, index=index, variable_name="of column", value_name="cell")
        cells = cells.rename({"cell": f"{VALUE_ROLE}{VALUE}"})  # one of the columns may have this name
        step = pl.int_range(pl.len(), dtype=pl.Int64).over("at")
        cells = cells.sort("at", maintain_order=True).with_columns(pl.col("of column").str.strip_prefix(VALUE_ROLE))
        name = f"id {SERIES}"
        if self.source.layout == "series_per_column":
            return cells.with_columns(pl.col("of column").alias(name))
        if not self.source.id_columns:
            cells = cells.with_columns(pl.col("file_row").cast(pl.String).alias(name))
        if not self.source.has_times_in_header:
            return cells.with_columns(step=step)
        return cells.with_columns(time="of column")

    def _after_start(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of a table that dates the start of each series, at as many steps after it as they stand to its right."""
        source = self.source
        if not isinstance(source, SeriesSource) or "step" not in rows.columns or not source.has_times:
            return rows
        clock, zone = self.time_line.clock, self.time_line.zone
        parts = []
        for (start,), part in rows.group_by("time", maintain_order=True):
            grid = TimeGrid(source.frequency, clock, zone, start)
            parts.append(part.with_columns(time=grid.times(part["step"]).cast(pl.Int64)))
        dated = pl.concat(parts) if parts else rows
        return dated.with_columns(later="time") if "later" in rows.columns else dated

    def _series(self) -> pl.Expr:
        if self.settings.one_series_per_file:
            return plain(pl.col("source"))
        ids = [role for role in self._names if role != "channel"]
        return join_names(ids) if ids else pl.lit(ONLY_SERIES)

    def _parsed_numbers(self) -> dict[str, pl.Expr]:
        return {name: self._parsed_number(pl.col(role)) for role, name in self._numbers.items()}

    def _parsed_number(self, cell: pl.Expr) -> pl.Expr:
        return parse_numbers(cell, decimal=self.settings.decimal, thousands=self.settings.thousands)

    @cached_property
    def _checks(self) -> list[Check]:
        return self.checks()

    def _number_checks(self, role: str, name: str) -> list[Check]:
        number, cell = pl.col(name), pl.col(role)
        is_missing = cell.str.to_lowercase().is_in(MISSING)
        is_no_number = number.is_null() & cell.is_not_null() & ~is_missing
        return [
            *check_numbers(role, is_no_number, decimal=self.settings.decimal, thousands=self.settings.thousands),
            Check(
                "E-SER-002",
                role,
                number.is_not_nan() & (number.abs() > LARGEST),
                f"got {{value}}, expected a number of at most {LARGEST:g}.",
                "leave cells of missing values empty, or choose a larger unit.",
            ),
            Check(
                "E-SER-003",
                role,
                number.is_in(SUSPECTS) if self.settings.sentinels is None else pl.lit(False),
                "got {value}, which often stands for a missing value.",
                "set sentinels to the list of such numbers, or to [] if all are values.",
            ),
        ]

    def _without_sentinels(self, rows: pl.DataFrame) -> pl.DataFrame:
        sentinels = list(self.settings.sentinels or ())
        number = pl.col(*self.columns)
        counts = rows.select(number.is_in(sentinels).sum()).row(0, named=True)
        self.sentinels.update({name: count for name, count in counts.items() if count})
        return rows.with_columns(pl.when(number.is_not_nan() & ~number.is_in(sentinels)).then(number).name.keep())
