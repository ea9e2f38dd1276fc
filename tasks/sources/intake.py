"""One pass over a source: raw rows in batches, and the account of what was used, filtered and left out."""

import functools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import polars as pl

from tasks.errors import InputError, ResourceError, RnnflowError, nearest, quoted
from tasks.sources.input_files import InputFile, Inputs
from tasks.sources.settings import FileSettings
from tasks.sources.spellings import Spellings

BATCH_ROWS = 10_000
BATCH_BYTES = 16 * 2**20
MAX_EXAMPLES = 5
MAX_FIELDS = 20
MAX_NAMES = 50
# Small files may be as repetitive as they like.
RATIO_FLOOR_BYTES = 2**20

SettingsT_co = TypeVar("SettingsT_co", bound=FileSettings, covariant=True)


class RawRow(NamedTuple):
    """A row as a reader finds it: where it stands, and its cells in the order of `wanted_columns`.

    `line` is the physical line on which the row begins; a document has none.
    """

    file: str
    line: int | None
    source: str
    cells: Sequence[str | None]


@dataclass
class Intake(Generic[SettingsT_co]):
    """The settings of a pass, and what has been read, filtered and left out so far.

    With a list `refused` every refused row is kept there, whatever `on_bad_rows` says: a prediction answers for each.
    With a list `bad_places` file and line of each are kept, the line of a whole file being None.
    What is done to the `kept` rows goes to `merged` (how many were joined with another row) and `warnings`; `foreign`
    ones are of channels that are not wanted.
    """

    settings: SettingsT_co
    refused: list[InputError] | None = None
    bad_places: list[tuple[str, int | None]] | None = None
    num_bytes: int = 0
    blank_lines: int = 0
    comment_lines: int = 0
    filtered: Counter[str] = field(default_factory=Counter)
    num_ignored: int = 0
    first_ignored: str = ""
    skipped: int = 0
    examples: list[str] = field(default_factory=list)
    kept: int = 0
    merged: int = 0
    foreign: int = 0
    warnings: list[str] = field(default_factory=list)
    spellings: Spellings = field(default_factory=Spellings)

    def reject(self, error: InputError) -> None:
        """Stop at a bad row, or count it and continue, as `on_bad_rows` says."""
        if self.refused is not None:
            self.refused.append(error)
        elif self.settings.on_bad_rows == "error":
            raise error
        if self.bad_places is not None:
            self.bad_places.append((str(error.file), error.row))
        self.skipped += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(str(error).partition("\n")[0])

    def reject_file(self, error: InputError) -> None:
        """Stop at a file that is bad as a whole; only training continues without it, if `on_bad_rows` says so."""
        if self.refused is not None:
            raise error
        self.reject(error)

    def note(self, *, merged: int, warnings: list[str]) -> None:
        """Remember what was done to the rows that were kept."""
        self.merged = merged
        self.warnings += warnings

    def ignore(self, name: str) -> None:
        """Count a file or member that is not a document."""
        self.num_ignored += 1
        self.first_ignored = self.first_ignored or name

    def account(self, inputs: Inputs, digest: str) -> dict[str, Any]:
        """What a `RowsSummary` says of the files, which have a digest, and of what was left out of them.

        The names of files that were not read are remembered for `warnings_of_left_out`.
        """
        for name in inputs.ignored:
            self.ignore(name)
        return {
            "skipped": self.skipped,
            "skipped_examples": self.examples,
            "filtered": dict(self.filtered),
            "inputs": {"files": len(inputs.files), "bytes": self.num_bytes, "sha256": digest},
        }

    def warnings_of_left_out(self) -> list[str]:
        """Say what was left out of the files; a prediction gives account of that itself."""
        counted = {
            f"bad rows or files left out: {self.skipped:,}": self.skipped,
            f"blank lines skipped: {self.blank_lines:,}": self.blank_lines,
            f"comment lines skipped: {self.comment_lines:,}": self.comment_lines,
            f"other files ignored: {self.num_ignored:,}, such as {quoted(self.first_ignored)}": self.num_ignored,
        }
        return [warning for warning, count in counted.items() if count and self.refused is None]

    def count_bytes(self, num_bytes: int, *, file: InputFile) -> None:
        """Add to the bytes read; raises ResourceError (E-SRC-009) beyond `max_bytes`."""
        self.num_bytes += num_bytes
        if self.num_bytes > self.settings.max_bytes:
            raise ResourceError(
                "E-SRC-009",
                f"brings the source to more than {self.settings.max_bytes} decompressed bytes.",
                fix="raise max_bytes if the source is meant to be that large.",
                file=file.path,
            )

    def check_ratio(self, num_bytes: int, compressed_bytes: int, *, file: InputFile) -> None:
        """Compare what a file became with what it was; raises ResourceError (E-ARC-004) beyond `max_ratio`."""
        ratio = num_bytes / max(1, compressed_bytes)
        if num_bytes > RATIO_FLOOR_BYTES and ratio > self.settings.max_ratio:
            raise ResourceError(
                "E-ARC-004",
                f"grew {ratio:.0f}-fold to {num_bytes} bytes, expected at most {self.settings.max_ratio:g}-fold.",
                fix="raise max_ratio if the file is meant to be that repetitive.",
                file=file.path,
            )


# What makes checked rows of a batch of raw ones.
RowCheck: TypeAlias = Callable[[pl.DataFrame, Intake], pl.DataFrame]


def named(header: Sequence[str]) -> list[str]:
    """The names of a header's columns; one without a name, such as the index that pandas writes, goes by its number."""
    return [name or f"column_{number}" for number, name in enumerate(header, start=1)]


def check_columns(
    wanted: Collection[str],
    found: Sequence[str],
    *,
    file: InputFile,
    line: int | None = None,
    first_row: Callable[[], Sequence[str]] = tuple,
) -> None:
    """Refuse a table in which a wanted column is missing (E-SRC-005) or repeated (E-SRC-010).

    Other columns may be unnamed or repeated: the index column that pandas writes has no name.
    """
    for column in wanted:
        if column not in found:
            raise missing_column(column, found, file=file, line=line, others=wanted, first_row=first_row())
        if found.count(column) > 1:
            raise InputError(
                "E-SRC-010",
                f"occurs {found.count(column)} times, expected once.",
                fix="rename or remove the others.",
                file=file.path,
                row=line,
                column=column,
            )


def missing_column(
    column: str,
    found: Sequence[str],
    *,
    file: InputFile,
    line: int | None = None,
    others: Collection[str] = (),
    first_row: Sequence[str] = (),
) -> InputError:
    """Describe a column that is not there, with those that are, the fields of the row below, and the closest name.

    A column of the `others` that are wanted has its own role, so it is not proposed.
    """
    closest = nearest(column, (name for name in found if name not in others))
    # A first line of a text table that names nothing wanted may be a row rather than a header.
    is_row = bool(first_row) and set(found).isdisjoint(others) and file.kind in ("csv", "tsv")
    no_header = "; if the first line is a row like the others, list all names: columns = [...]." if is_row else "."
    hint = f"; did you mean {quoted(closest)}?" if closest else no_header
    choice = ", or choose tables of the archive with include" if file.archive else ""
    below = f" The first row reads {listed(first_row)}." if first_row else ""
    return InputError(
        "E-SRC-005",
        f"is missing, found {listed(found, MAX_NAMES) or 'no column'}.{below}",
        fix=f"name the column in the recipe or in the file{choice}{hint}",
        file=file.path,
        row=line,
        column=column,
    )


def listed(fields: Sequence[str], limit: int = MAX_FIELDS) -> str:
    """Fields, or the names of columns, as a message shows them."""
    more = f" and {len(fields) - limit} more" if len(fields) > limit else ""
    return ", ".join(quoted(field) for field in fields[:limit]) + more


def batched(rows: Iterator[RawRow], roles: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Gather raw rows into frames of at most 10,000 rows or about 16 MB.

    Columns: file, line, source, and one String column per role. When a reader fails, the rows before
    are handed out first, so that of several faults the earliest is reported.
    """
    batch: list[RawRow] = []
    num_chars = 0
    try:
        for row in rows:
            batch.append(row)
            num_chars += len(row.cells[0] or "")
            if len(batch) == BATCH_ROWS or num_chars >= BATCH_BYTES:
                yield _frame(batch, roles)
                batch, num_chars = [], 0
    except RnnflowError:
        yield _frame(batch, roles)
        raise
    yield _frame(batch, roles)


def in_batches(
    read: Callable[[InputFile, Intake], Iterator[RawRow]],
) -> Callable[[InputFile, Intake], Iterator[pl.DataFrame]]:
    """Make a reader of rows one of frames, whose roles are those of the wanted columns."""

    @functools.wraps(read)
    def read_frames(file: InputFile, intake: Intake) -> Iterator[pl.DataFrame]:
        return batched(read(file, intake), list(intake.settings.wanted_columns()))

    return read_frames


def _frame(batch: list[RawRow], roles: Sequence[str]) -> pl.DataFrame:
    columns = zip(*(row.cells for row in batch), strict=True) if batch else [()] * len(roles)
    return pl.DataFrame(
        {
            "file": pl.Series([row.file for row in batch], dtype=pl.String),
            "line": pl.Series([row.line for row in batch], dtype=pl.UInt64),
            "source": pl.Series([row.source for row in batch], dtype=pl.String),
        }
        | {role: pl.Series(cells, dtype=pl.String) for role, cells in zip(roles, columns, strict=True)}
    )
