"""The line of a text file that an error is about, shown with it, so that nobody has to open the file to see it."""

import contextlib
import itertools
import re
from collections.abc import Iterable

from tasks.errors import MAX_QUOTED, InputError, RnnflowError, quoted
from tasks.sources.decoding import open_text
from tasks.sources.input_files import InputFile
from tasks.sources.intake import Intake
from tasks.sources.settings import FileSettings, is_wide

# What is wrong with the form of a line; of a cell the value is shown by the error itself.
SHOWN = re.compile(r"E-(CSV-00[234]|JSON-\d+|ENC-00[14])")
POSITION = re.compile(r"at character (\d+)")


def with_line(error: InputError, files: Iterable[InputFile], settings: FileSettings) -> InputError:
    """Give an error the line of one of the files that it is about, cut around the fault; other errors stay as they are.

    What cannot be read a second time is not shown.
    """
    file = next((file for file in files if str(file.path) == str(error.file)), None)
    if SHOWN.fullmatch(error.code) and error.row is not None and file is not None:
        with contextlib.suppress(RnnflowError, OSError):
            line = _read_line(file, error.row, settings)
            error.line = None if line is None else quoted(_around(line, error.problem))
    return error


def _read_line(file: InputFile, row: int, settings: FileSettings) -> str | None:
    """A physical line of a file, without its end."""
    with open_text(file, Intake(settings)) as stream:
        line = next(itertools.islice(stream, row - 1, None), None)
    encoding = "utf-8" if is_wide(settings.encoding) else settings.encoding  # as `open_text` hands it out
    return None if line is None else line.decode(encoding, "backslashreplace").rstrip("\r\n")


def _around(line: str, problem: str) -> str:
    """The part of a long line in which a problem names a character, or where bytes had to be escaped."""
    named = POSITION.search(problem)
    escaped = line.find("\\x") if "got bytes" in problem else 0
    position = int(named[1]) if named else max(escaped, 0)
    start = max(0, position - MAX_QUOTED // 2) if len(line) > MAX_QUOTED else 0
    return f"{'…' if start else ''}{line[start:]}"
