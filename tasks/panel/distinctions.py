"""What tells rows apart that a recipe takes for one: clocks that were changed, another column, another file.

Rows at fault are read again with all their cells, so the columns that a recipe does not name are looked at only then.
Groups are frames with the columns `row`, `of_row` (the first row of the group) and `time`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import polars as pl

from tasks.errors import quoted
from tasks.panel.clocks import zone_that_repeats
from tasks.panel.frames import NUMBERS
from tasks.panel.policies import Sheet
from tasks.panel.source import StampedSource
from tasks.sources.other_columns import CELL, read_all_cells

MAX_EXAMINED = 20_000
# Ordinary rows for comparison, which show how often the cells of a column recur.
MAX_ORDINARY = 1_000
FEW_ROWS = 20
MAX_PAIRED = 12
# A column that tells so large a share of the rows apart needs no other.
MOST = 0.9

CLOCK = r"^\s*\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?(\s*[AaPp][.]?[Mm][.]?)?\s*$"
STAMP = r"^\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}[T ]\d{1,2}:\d{2}"
NUMBER = r"^\s*[+-]?\d+([.,]\d+)?(e[+-]?\d+)?\s*$"
WHOLE = r"^\s*[+-]?\d+([.,]0*)?\s*$"
# Ids that are numbers are hardly more than the rows that share a time; measurements in whole numbers are.
NUMBERS_PER_ROW = 10


@dataclass(frozen=True, kw_only=True)
class Distinction:
    """The message on rows that differ, and the remedy."""

    said: str
    remedy: str


def find_distinction(sheet: Sheet, groups: pl.DataFrame) -> Distinction | None:
    """What tells the rows of each group apart, or most of them; None where nothing does."""
    zone = zone_that_repeats(groups["time"]) if sheet.clock == "naive" else None
    if zone is not None:
        return _clocks_that_were_changed(zone)
    examined = groups.sort("of_row", "row").head(MAX_EXAMINED).select("row", "of_row")
    return _Comparison(sheet, examined).conclude()


def find_change(sheet: Sheet, went_back: pl.DataFrame) -> Distinction | None:
    """What changes wherever times go back, and nowhere else: the clocks, or the column that names the series.

    `went_back` has the row before as `of_row`, whose time is `before`.
    """
    times = pl.concat([went_back["time"], went_back["before"].rename("time")])
    zone = zone_that_repeats(times) if sheet.clock == "naive" else None
    if zone is not None:
        return _clocks_that_were_changed(zone)
    back = went_back.head(MAX_EXAMINED // 2).select("row", "of_row")
    pairs = pl.concat([back, back.select(row="of_row", of_row="of_row")])
    return _Comparison(sheet, pairs).conclude_from_order(back["row"])


def _clocks_that_were_changed(zone: str) -> Distinction:
    return Distinction(
        said=f"all such times are in hours that clocks show twice in autumn, for example in {zone}",
        remedy=f'set time_zone = "{zone}", or the zone whose clocks these are, and ambiguous_times = "order".',
    )


class _Comparison:
    """The cells of some groups of rows, and of ordinary rows for comparison."""

    def __init__(self, sheet: Sheet, examined: pl.DataFrame) -> None:
        self._sheet, self._settings = sheet, sheet.settings
        self._cells = _read_cells(sheet, examined["row"])
        self._members = examined.join(self._cells, on="row")
        self._num_repeats = examined.height - examined["of_row"].n_unique()

    def conclude(self) -> Distinction | None:
        """The plainest explanation: the time of day, one column, two of them, the file, and at last a partial one."""
        candidates = self._candidates()
        told = {columns: self._count_told(columns) for columns in self._sets_of(candidates)}
        clocks = [name for name in candidates if self._holds(name, CLOCK) and told[name,]]
        if clocks and _holds_dates(self._settings, self._members):
            return self._time_of_day(clocks[0])
        alone = max((told[name,] for name in candidates), default=0)
        if alone < self._num_repeats and self._files_differ(all_rows=True):
            return self._file()
        size = 1 if alone >= MOST * self._num_repeats else 2
        sets = [names for names in told if len(names) <= size and told[names]]
        if sets:
            best = max(sets, key=lambda names: (told[names], -len(names), -self._count_distinct(names)))
            return self._columns(best, told[best])
        return self._file() if self._files_differ(all_rows=False) else None

    def conclude_from_order(self, back: pl.Series) -> Distinction | None:
        """The column that differs from the row before in these rows, and in no other that was read."""
        follows = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in ("file", "series"))
        follows &= pl.col("row") == pl.col("row").shift() + 1
        is_back, cells = pl.col("row").is_in(back.implode()), self._cells.sort("row")
        for name in self._candidates():
            changes = pl.col(CELL + name).ne_missing(pl.col(CELL + name).shift())
            known = cells.select(follows=follows, is_back=is_back, changes=changes).filter("follows")
            if known["is_back"].any() and (known["is_back"] == known["changes"]).all():
                remedy = self._as_ids([name])
                return Distinction(said=f"column {quoted(name)} changes wherever times go back", remedy=remedy)
        return self._files_in_turn()

    def _files_in_turn(self) -> Distinction | None:
        """Say so where times go back only with the first row of another file."""
        num_files = self._members.group_by("of_row").agg(pl.col("file").n_unique())["file"]
        if self._settings.one_series_per_file or self._settings.id_columns or not (num_files > 1).all():
            return None
        return Distinction(
            said="times go back only where another file begins",
            remedy='set one_series_per_file = true if each file is a series, or unsorted = "sort" if all hold one.',
        )

    def _candidates(self) -> list[str]:
        """Columns that the recipe does not read as ids, times or values, and that may name or date a row."""
        wanted = self._settings.wanted_columns()
        taken = {column for role, column in wanted.items() if role.partition(" ")[0] != "known"}
        names = [name.removeprefix(CELL) for name in self._cells.columns if name.startswith(CELL)]
        return [name for name in names if name not in taken and self._may_tell_apart(name)]

    def _may_tell_apart(self, name: str) -> bool:
        """Counters, measurements and texts of which each is another do not name a series."""
        if self._holds(name, CLOCK) or self._holds(name, STAMP):
            return True
        distinct, rows = self._cells[CELL + name].n_unique(), self._cells.height
        if self._holds(name, NUMBER):
            largest_group = self._members.group_by("of_row").len().select(pl.col("len").max()).item() or 0
            return self._holds(name, WHOLE) and distinct <= NUMBERS_PER_ROW * largest_group
        return 2 * distinct <= rows or rows <= FEW_ROWS

    def _sets_of(self, candidates: list[str]) -> Iterator[tuple[str, ...]]:
        yield from ((name,) for name in candidates)
        yield from combinations(candidates[:MAX_PAIRED], 2)

    def _holds(self, name: str, pattern: str) -> bool:
        cells = self._cells[CELL + name].drop_nulls()
        return cells.len() > 0 and cells.str.contains(pattern).all()

    def _count_told(self, names: Sequence[str]) -> int:
        """How many repeats are none, once these columns count."""
        cells = self._members.select("of_row", *(CELL + name for name in names))
        return cells.n_unique() - cells["of_row"].n_unique()

    def _count_distinct(self, names: Sequence[str]) -> int:
        return self._members.select(CELL + name for name in names).n_unique()

    def _files_differ(self, *, all_rows: bool) -> bool:
        """Tell whether the rows of some group (or all rows of all) come from several files and hold other numbers."""
        if self._settings.one_series_per_file:
            return False
        of_members = pl.col("row").is_in(self._members["row"].implode())
        numbers = pl.scan_parquet(self._sheet.path).filter(of_members).select("row", NUMBERS)
        members = self._members.select("row", "of_row", "file").join(numbers.collect(engine="streaming"), on="row")
        groups = members.group_by("of_row").agg(
            rows=pl.len(), files=pl.col("file").n_unique(), values=pl.struct(NUMBERS).n_unique()
        )
        if all_rows and not (groups["files"] == groups["rows"]).all():
            return False
        return ((groups["files"] > 1) & (groups["values"] > 1)).any()

    def _time_of_day(self, name: str) -> Distinction:
        example = self._cells[CELL + name].drop_nulls()[0]
        time_format, date = self._settings.time_format, self._settings.time_columns[0]
        extended = f" and time_format = {quoted(f'{time_format} {_format_of(example)}')}" if time_format else ""
        return Distinction(
            said=f"column {quoted(date)} holds dates without a time of day, which column {quoted(name)} seems to hold",
            remedy=f"set time_columns = [{quoted(date)}, {quoted(name)}]{extended}.",
        )

    def _columns(self, names: Sequence[str], num_told: int) -> Distinction:
        shown, repeats = " and ".join(map(quoted, names)), self._num_repeats
        subject = f"column {shown} tells" if len(names) == 1 else f"columns {shown} tell"
        which = "these rows" if num_told == repeats else f"{num_told:,} of {repeats:,} of these rows"
        if len(names) == 1 and self._holds(names[0], STAMP):
            remedy = f"set time_columns = [{shown}] if it holds the time of measurement, or remove the extra rows."
        else:
            remedy = self._as_ids(names)
        return Distinction(said=f"{subject} {which} apart", remedy=remedy)

    def _as_ids(self, names: Sequence[str]) -> str:
        listed = ", ".join(map(quoted, [*self._settings.id_columns, *names]))
        known = [name for name in names if name in self._settings.named_columns().values()]
        from_known = f" and take {' and '.join(map(quoted, known))} out of covariate_columns" if known else ""
        in_place = " in place of one_series_per_file" if self._settings.one_series_per_file else ""
        return f"set id_columns = [{listed}]{in_place}{from_known}, if that names the series."

    def _file(self) -> Distinction:
        if self._settings.id_columns:
            remedy = "give series of different files ids that differ, or remove the extra rows."
        else:
            remedy = "set one_series_per_file = true if each file is a series, or remove the extra rows."
        return Distinction(said="such rows are in different files and have different values", remedy=remedy)


def _read_cells(sheet: Sheet, rows: pl.Series) -> pl.DataFrame:
    """The cells of some rows and of the first ones: row, series, file, line, and `cell <name>` for every column."""
    is_wanted = pl.col("row").is_in(rows.implode()) | (pl.col("row") < MAX_ORDINARY)
    places = pl.scan_parquet(sheet.path).filter(is_wanted).select("row", "series", "file", "line")
    parts = places.collect(engine="streaming").partition_by("file", as_dict=True, maintain_order=True)
    files = {str(file.path): file for file in sheet.files}
    found = []
    for (name,), part in parts.items():
        again = [files[name]] if name in files else []
        cells = [read_all_cells(file, sheet.settings, part["line"].to_list()) for file in again]
        found += [part.join(one, on="line", how="left", maintain_order="left") for one in cells] or [part]
    return pl.concat(found, how="diagonal")


def _holds_dates(settings: StampedSource, members: pl.DataFrame) -> bool:
    """Tell whether the column of times holds days alone."""
    if settings.time_unit != "text" or len(settings.time_columns) != 1:
        return False
    if settings.time_format is not None:
        return settings.has_days_alone
    cells = members.get_column(CELL + settings.time_columns[0], default=pl.Series([None], dtype=pl.String))
    return not cells.str.contains(":").any()


def _format_of(clock: str) -> str:
    """The format of a time of day such as 17:24:00 or 5:24 PM."""
    has_half = "m" in clock.lower()
    seconds = ":%S" if clock.count(":") > 1 else ""
    return ("%I:%M" if has_half else "%H:%M") + seconds + (" %p" if has_half else "")
