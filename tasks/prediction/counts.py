"""What became of the rows of a file: counted for every kind of model, and always reported."""

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tasks.errors import InputError, plural, quoted


@dataclass(frozen=True, kw_only=True)
class AnsweredFile(ABC):
    """What became of a file: `rows` of answers by `model` in `output`, and in `errors` why others are missing.

    `kept_rows` were answered by an earlier, interrupted call, all others at `rows_per_s`. Of the `rows_read` all are
    answered, or used in an answer, except those counted here: `bad` ones cannot be read or answered, `left_out` ones do
    not match `where`, `blank_lines` are empty, `comment_lines` hold comments, `merged` ones repeat the time of a row
    and count as one with it, `foreign` ones are of channels unknown to the model. The bad ones include
    `refused_items`: what takes several rows, named by `items`, and has no answer as a whole. `first_fault` says why the
    first bad one is bad, and `warnings` what was done to the rows that are used.
    """

    items: ClassVar[str] = "items"

    model: str
    output: Path
    errors: Path | None
    rows: int
    kept_rows: int
    rows_per_s: float
    wall_s: float
    rows_read: int
    bad: int
    left_out: int
    blank_lines: int
    comment_lines: int = 0
    merged: int = 0
    foreign: int = 0
    refused_items: int = 0
    first_fault: str | None = None
    warnings: Sequence[str] = ()

    @abstractmethod
    def describe_answers(self) -> str:
        """Say in a line or two what was answered."""

    @abstractmethod
    def counts(self) -> Mapping[str, int]:
        """What is counted, by what a person calls it."""

    @property
    def refused_rows(self) -> int:
        """Rows that are bad individually."""
        return self.bad - self.refused_items

    @property
    def pace(self) -> str:
        """How long it took, and how much had been done before."""
        kept = f", {self.kept_rows:,} rows in an earlier call" if self.kept_rows else ""
        return f"({self.wall_s:.1f} s{kept})"

    def as_json(self) -> dict[str, Any]:
        """Every count and path, for programs; paths are not yet text."""
        return dataclasses.asdict(self)

    def describe(self) -> str:
        """Say it in a few lines."""
        return "\n".join([self.describe_answers(), self.describe_rows(), *self.warnings])

    def describe_rows(self) -> str:
        """Say in a line what became of the rows."""
        counted = {
            f"{self.left_out:,} left out by `where`": self.left_out,
            f"{self.blank_lines:,} blank": self.blank_lines,
            f"{plural(self.comment_lines, 'comment')}": self.comment_lines,
            f"{self.foreign:,} of channels that the model never learned": self.foreign,
            f"{self.merged:,} merged with another row of the same time": self.merged,
            f"{self.refused_rows:,} refused": self.refused_rows,
        }
        parts = [part for part, count in counted.items() if count]
        rows = plural(self.rows_read, "row")
        return f"{rows} read: {', '.join(parts)}." if parts else f"{rows} read, none refused."

    def describe_refused(self) -> str:
        """Say how much could not be answered, and why not."""
        counts = {
            f"{self.refused_items:,} {self.items}": self.refused_items,
            plural(self.refused_rows, "row"): self.refused_rows,
        }
        refused = " and ".join(said for said, count in counts.items() if count)
        return f"{refused} could not be answered; the first: {self.first_fault}"

    def table(self) -> dict[str, str | Path]:
        """Say it as names and values."""
        facts = {"output": self.output, "model": self.model}
        facts |= {name: f"{count:,}" for name, count in self.counts().items()}
        counted = {
            "rows read": self.rows_read,
            "rows left out by where": self.left_out,
            "blank lines": self.blank_lines,
            **({"comment lines": self.comment_lines} if self.comment_lines else {}),
            "rows of other channels": self.foreign,
            "rows merged with another row of the same time": self.merged,
            "rows refused": self.refused_rows,
            **({f"{self.items} refused": self.refused_items} if self.refused_items else {}),
        }
        facts |= {
            "rows answered in an earlier run": f"{self.kept_rows:,}",
            "rows per second": f"{self.rows_per_s:,.0f}",
            "seconds": f"{self.wall_s:,.1f}",
            **{name: f"{count:,}" for name, count in counted.items()},
        }
        if self.errors is not None:
            facts["their reasons"] = self.errors
        return facts | {f"note {number}": warning for number, warning in enumerate(self.warnings, start=1)}


def describe_fault(error: InputError, **place: object) -> dict[str, object]:
    """A line of a file of errors: the `row` or `series`, the code, the column if there is one, and the reason."""
    column = {} if error.column is None else {"column": error.column}
    return {**place, "code": error.code, **column, "reason": error.problem}


def read_first_fault(errors: Path | None) -> str | None:
    """The first fault in a file of errors, as one line; None without such a file."""
    if errors is None:
        return None
    with errors.open(encoding="utf-8") as lines:
        fault = json.loads(next(lines))
    parts = [f"row {fault['row']}"] if "row" in fault else []
    parts += [f"column {quoted(fault['column'])}"] if "column" in fault else []
    place = f"{' '.join(parts)}: " if parts else ""
    return f"{fault['code']} {place}{fault['reason']}"
