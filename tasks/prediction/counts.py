"""What became of the rows of a file: counted for every kind of model, and always said."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import InputError, plural, quoted


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """Of the `rows_read` of a file all are answered, or used in an answer, but those counted here.

    `bad` ones cannot be read or answered, `left_out` ones are other than `where` asks for, `blank_lines` hold nothing,
    `merged` ones repeat the time of a row and count as one with it, `foreign` ones are of channels that the model never
    learned. `first_fault` says why the first bad one is bad.
    """

    rows_read: int
    bad: int
    left_out: int
    blank_lines: int
    merged: int = 0
    foreign: int = 0
    first_fault: str | None = None

    @property
    def refused_rows(self) -> int:
        """Rows that are bad each by itself."""
        return self.bad

    def as_json(self) -> dict[str, Any]:
        """Every count and path, for programs; paths are not yet text."""
        return dataclasses.asdict(self)

    def describe_rows(self) -> str:
        """Say it in a line."""
        counted = {
            f"{self.left_out:,} left out by `where`": self.left_out,
            f"{self.blank_lines:,} blank": self.blank_lines,
            f"{self.foreign:,} of channels that the model never learned": self.foreign,
            f"{self.merged:,} merged with another of their time": self.merged,
            f"{self.refused_rows:,} refused": self.refused_rows,
        }
        parts = [part for part, count in counted.items() if count]
        rows = plural(self.rows_read, "row")
        return f"{rows} read: {', '.join(parts)}." if parts else f"{rows} read, none left out."

    def describe_refused(self) -> str:
        """Say how much could not be answered, and why not."""
        return f"{self.name_refused()} could not be answered; the first: {self.first_fault}"

    def name_refused(self) -> str:
        """What could not be answered, with its number."""
        return plural(self.bad, "row")

    def row_table(self) -> dict[str, str]:
        """Say it as names and values."""
        return {
            "rows read": f"{self.rows_read:,}",
            "rows left out by where": f"{self.left_out:,}",
            "blank lines": f"{self.blank_lines:,}",
            "rows of other channels": f"{self.foreign:,}",
            "rows merged with another of their time": f"{self.merged:,}",
            "rows refused": f"{self.refused_rows:,}",
        }


def describe_fault(error: InputError, **place: object) -> dict[str, object]:
    """A line of a file of errors: the `row` or `series`, the code, the column if it is one's, and the reason."""
    column = {} if error.column is None else {"column": error.column}
    return {**place, "code": error.code, **column, "reason": error.problem}


def read_first_fault(errors: Path | None) -> str | None:
    """The first fault that a file of errors tells, in a line; None without such a file."""
    if errors is None:
        return None
    with errors.open(encoding="utf-8") as lines:
        fault = json.loads(next(lines))
    parts = [f"row {fault['row']}"] if "row" in fault else []
    parts += [f"column {quoted(fault['column'])}"] if "column" in fault else []
    place = f"{' '.join(parts)}: " if parts else ""
    return f"{fault['code']} {place}{fault['reason']}"
