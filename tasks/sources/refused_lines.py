"""The line of a text file that an error is about, shown with it, so that nobody has to open the file to see it."""

import bz2
import gzip
import itertools
import lzma
import re
from pathlib import Path

from tasks.errors import MAX_QUOTED, InputError, quoted
from tasks.sources.settings import FileSettings

# What is wrong with the form of a line; of a cell the value is shown by the error itself.
SHOWN = re.compile(r"E-(CSV-00[234]|JSON-\d+|ENC-00[14])")
POSITION = re.compile(r"at character (\d+)")
OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def with_line(error: InputError, settings: FileSettings) -> InputError:
    """Give an error the line that it is about, cut around the fault; errors about other things stay as they are."""
    path = Path(str(error.file))
    if SHOWN.fullmatch(error.code) and error.row is not None and path.is_file():
        line = _read_line(path, error.row, settings.encoding)
        error.line = None if line is None else quoted(_around(line, error.problem))
    return error


def _read_line(path: Path, row: int, encoding: str) -> str | None:
    """A physical line of a file, without its end; None in an encoding whose line ends are other bytes."""
    if "\n".encode(encoding) != b"\n":
        return None
    with OPENERS.get(path.suffix.lower(), open)(path, "rb") as stream:
        line = next(itertools.islice(stream, row - 1, None), None)
    return None if line is None else line.decode(encoding, "backslashreplace").rstrip("\r\n")


def _around(line: str, problem: str) -> str:
    """The part of a long line in which a problem names a character, or where bytes had to be escaped."""
    named = POSITION.search(problem)
    escaped = line.find("\\x") if "got bytes" in problem else 0
    position = int(named[1]) if named else max(escaped, 0)
    start = max(0, position - MAX_QUOTED // 2) if len(line) > MAX_QUOTED else 0
    return f"{'…' if start else ''}{line[start:]}"
