"""Raw cells of a table to rows of numbers on one time line, with the place of every fault."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

import polars as pl
import pyarrow as pa

from tasks.errors import InputError, quoted
from tasks.panel.clocks import TimeLine, check_instants, place_instants
from tasks.panel.names import join_names
from tasks.panel.source import StampedSource
from tasks.panel.timestamps import check_clocks, read_clocks
from tasks.sources.intake import Intake
from tasks.sources.row_checks import Check, filter_rows, plain, refuse_rows

ONLY_SERIES = "series"
MISSING = ("", "na", "nan", "n/a", "null", "none")
# What loggers write for want of a measurement.
SUSPECTS = (-999.0, -9999.0, -99999.0)
# Squares of larger numbers, summed over any source, would leave the range of floats.
LARGEST = 1e30
DECIMAL_COMMA = r"^[+-]?\d+,\d+$"


class RowParser:
    """Parses the batches of a source; remembers the kind of its times and how often sentinels stood for values.

    File, line and series of the rows that its checks refused are in `refused`.
    In a table with a row per channel, rows of other than the given `channels` are left out and counted by name.
    """

    def __init__(self, settings: StampedSource, *, channels: Sequence[str] | None = None) -> None:
        self.time_line = TimeLine(settings)
        self.sentinels: Counter[str] = Counter()
        self.other_channels: Counter[str] = Counter()
        self.refused: list[pl.DataFrame] = []
        self._settings = settings
        self.known_channels = channels

    def __call__(self, raw: pl.DataFrame, intake: Intake) -> pl.DataFrame:
        """Return the good rows, with the columns of `schema`.

        Raises InputError: E-TIME-001 to E-TIME-012, E-TIME-017, E-TIME-018, E-SER-001 to E-SER-004.
        """
        stripped = [pl.col(role).str.strip_chars() for role in (*self._stamps, *self._numbers)]
        # Names that no eye can tell apart are one, as labels are.
        stripped += [plain(pl.col(role)).str.strip_chars() for role in self._names]
        rows = filter_rows(raw, intake).with_columns(stripped).with_columns(time=self._joined_stamp())
        rows = self._without_other_channels(rows)
        rows = self._with_clocks(rows).with_columns(place_instants(self._settings))
        rows = rows.with_columns(self._series().alias("series"), **self._parsed_numbers())
        rows = rows.with_row_index("position")  # rows of one sequence may share their line
        good = refuse_rows(rows, self._checks, intake)
        if good.height < rows.height:
            self.refused.append(rows.join(good, on="position", how="anti").select("file", "line", "series"))
        return self._without_sentinels(self.time_line.settle(good)).select(self.schema.names)

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns of a good row: file, line, series, time, perhaps later and channel, value.* and known.*."""
        place = {"file": pa.large_string(), "line": pa.uint64(), "series": pa.large_string(), "time": pa.int64()}
        place |= {"later": pa.int64()} if self._settings.ambiguous_times == "order" else {}
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
        return [*check_clocks(self._settings), *check_instants(self._settings), *names, *numbers]

    @cached_property
    def columns(self) -> list[str]:
        """Names of the columns of numbers: `value.<name>`, then `known.<name>`."""
        return list(self._numbers.values())

    @cached_property
    def _numbers(self) -> dict[str, str]:
        roles = self._settings.named_columns()
        return {role: role.replace(" ", ".", 1) for role in roles if role.startswith(("value ", "known "))}

    @cached_property
    def _names(self) -> list[str]:
        return [role for role in self._settings.named_columns() if role.partition(" ")[0] in ("id", "channel")]

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
            return read_clocks(rows, self._settings)
        except pl.exceptions.ComputeError as error:  # only a format can be at fault
            reason = str(error).partition("\n")[0]
            raise InputError(
                "E-TIME-018",
                f"cannot be read with time_format {quoted(self._settings.time_format)} ({quoted(reason)}).",
                fix="correct time_format; it needs year, month and day, and with an hour also a minute.",
                column=self._settings.time_column,
            ) from error

    @cached_property
    def _stamps(self) -> list[str]:
        return [role for role in ("time", "time of day") if role in self._settings.named_columns()]

    def _joined_stamp(self) -> pl.Expr:
        """The cell of a time; one of a date and one of a time of day with a space between them."""
        if len(self._stamps) == 1:
            return pl.col("time")
        # Tables of typed columns have no type for a date in pandas but the first instant of the day.
        date = pl.col("time").str.replace(r"T00:00:00([.]0+)?$", "")
        parts = [pl.when(cell != "").then(cell) for cell in (date, pl.col("time of day"))]
        return pl.concat_str(parts, separator=" ")

    def _series(self) -> pl.Expr:
        if self._settings.one_series_per_file:
            return plain(pl.col("source"))
        ids = [role for role in self._names if role != "channel"]
        return join_names(ids) if ids else pl.lit(ONLY_SERIES)

    def _parsed_numbers(self) -> dict[str, pl.Expr]:
        return {name: self._parsed_number(pl.col(role)) for role, name in self._numbers.items()}

    def _parsed_number(self, cell: pl.Expr) -> pl.Expr:
        if self._settings.decimal == ",":
            has_point = cell.str.contains(".", literal=True)
            cell = pl.when(~has_point).then(cell.str.replace_all(",", ".", literal=True))
        return cell.cast(pl.Float64, strict=False)

    @cached_property
    def _checks(self) -> list[Check]:
        return self.checks()

    def _number_checks(self, role: str, name: str) -> list[Check]:
        number, cell = pl.col(name), pl.col(role)
        is_missing = cell.str.to_lowercase().is_in(MISSING)
        is_no_number = number.is_null() & cell.is_not_null() & ~is_missing
        return [
            *_no_number_checks(role, is_no_number, decimal=self._settings.decimal),
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
                number.is_in(SUSPECTS) if self._settings.sentinels is None else pl.lit(False),
                "got {value}, which often stands for a missing value.",
                "set sentinels to the list of such numbers, or to [] if all are values.",
            ),
        ]

    def _without_sentinels(self, rows: pl.DataFrame) -> pl.DataFrame:
        sentinels = list(self._settings.sentinels or ())
        number = pl.col(*self.columns)
        counts = rows.select(number.is_in(sentinels).sum()).row(0, named=True)
        self.sentinels.update({name: count for name, count in counts.items() if count})
        return rows.with_columns(pl.when(number.is_not_nan() & ~number.is_in(sentinels)).then(number).name.keep())


def _no_number_checks(role: str, is_no_number: pl.Expr, *, decimal: str) -> list[Check]:
    """The message on a cell that is not a number: which setting would read it, if one does."""
    cell, mark = pl.col(role), {".": "point", ",": "comma"}[decimal]
    return [
        Check(
            "E-SER-001",
            role,
            is_no_number & cell.str.contains(DECIMAL_COMMA) if decimal == "." else pl.lit(False),
            "got {value}, expected a number with a decimal point.",
            'set decimal = "," if it has a decimal comma; if the comma parts thousands, write the number without it.',
        ),
        Check(
            "E-SER-001",
            role,
            is_no_number & ~cell.str.contains(r"\d"),
            "got {value}, expected a number.",
            "if it means a missing value, list it: missing_values = [{value}]; else write a number.",
        ),
        Check(
            "E-SER-001",
            role,
            is_no_number,
            f"got {{value}}, expected a number{' with a decimal comma' if decimal == ',' else ''}.",
            f"write it with a decimal {mark}, without separators or units, and leave cells of missing values empty.",
        ),
    ]
