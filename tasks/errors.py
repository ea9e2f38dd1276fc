"""Errors that a user can fix: two lines that say where, what and the remedy.

    RnnflowError          1   never raised itself
    ├── InputError        2   bad input or configuration
    ├── IntegrityError    3   a hash does not match, a file is damaged
    ├── ResourceError     4   disk, memory or device
    └── ServiceError      5   a server or download failed

The number is the exit status of the command line.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path

MAX_QUOTED = 80


class RnnflowError(Exception):
    """A failure with a code, a place and a remedy: two lines, and a third where the line of a file is shown."""

    exit_code = 1

    def __init__(
        self,
        code: str,
        problem: str,
        *,
        fix: str,
        file: str | Path | None = None,
        row: int | None = None,
        column: str | None = None,
    ) -> None:
        self.code, self.problem, self.fix = code, problem, fix
        self.file, self.row, self.column = file, row, column
        self.line: str | None = None  # the line of the file as it was read, where it helps
        super().__init__(f"{code} {self.place}{problem}\nFix: {fix}")

    def __str__(self) -> str:
        """What everybody reads of it: on the command line, on Prefect's pages, in MLflow and over HTTP."""
        shown = "" if self.line is None else f"\nLine {self.row} reads: {self.line}"
        return f"{super().__str__()}{shown}"

    def fields(self) -> dict[str, str | int | None]:
        """What it was made of, as JSON values."""
        file = None if self.file is None else str(self.file)
        said = {"code": self.code, "problem": self.problem, "fix": self.fix}
        shown = {} if self.line is None else {"line": self.line}
        return said | {"file": file, "row": self.row, "column": self.column} | shown

    @property
    def place(self) -> str:
        """`file:row column "name": `, as far as each part is known."""
        if self.file is None and self.column is None:
            return ""
        row = "" if self.row is None else f":{self.row}"
        column = "" if self.column is None else f"column {quoted(self.column)}"
        file = "" if self.file is None else printable(str(self.file)) + row
        return " ".join(part for part in (file, column) if part) + ": "


class InputError(RnnflowError):
    """Bad input or configuration."""

    exit_code = 2


class IntegrityError(RnnflowError):
    """Bytes on disk are not what was written."""

    exit_code = 3


class ResourceError(RnnflowError):
    """Disk, memory or a device is missing or full."""

    exit_code = 4


class ServiceError(RnnflowError):
    """A server or a download failed."""

    exit_code = 5


def printable(text: str) -> str:
    """Escape control, bidirectional and line characters, so that data cannot act on a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def plural(number: int, noun: str) -> str:
    """Show how many there are of something whose plural ends in s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The known name that a wrong one is most likely a slip of, whatever its case; None if none is near."""
    by_folded = {name.strip().casefold(): name for name in known}
    found = difflib.get_close_matches(wrong.strip().casefold(), by_folded, n=1)
    return by_folded[found[0]] if found else None


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """The end of a remedy: a question that names the nearest of some names, or a full stop."""
    name = nearest(wrong, known)
    return "." if name is None else f"; did you mean {quoted(name)}?"


def quoted(value: object) -> str:
    """Show a value inside a message: escaped, quoted, cut at 80 characters."""
    text = printable(str(value))
    return f'"{text[: MAX_QUOTED - 1]}…"' if len(text) > MAX_QUOTED else f'"{text}"'
