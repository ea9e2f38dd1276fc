"""Errors of the readers in the words of a prediction, whose file is read by the record of training."""

import contextlib
from collections.abc import Iterator, Sequence

from tasks.errors import InputError, quoted
from tasks.sources.settings import FileSettings

MISSING_COLUMN = "E-SRC-005"


@contextlib.contextmanager
def naming_remedies(settings: FileSettings) -> Iterator[None]:
    """Have a missing column's error say what can be done about it where there is no recipe to change."""
    try:
        yield
    except InputError as error:
        raise (in_words_of_prediction(error, settings) if error.code == MISSING_COLUMN else error) from error.__cause__


def in_words_of_prediction(error: InputError, settings: FileSettings) -> InputError:
    """The error of a missing column with a remedy that works at a prediction."""
    if error.column in settings.where:
        wanted = quoted(settings.where[error.column])
        fix = f"add the column ({wanted} in the rows to answer), or answer all rows with --set source.where={{}}."
    elif error.column == getattr(settings, "text_column", None):
        fix = f"name the column of the texts with --text-column{_hint_of(error)}"
    else:
        fix = f"name the column in the file as in training{_hint_of(error)}"
    return InputError(error.code, error.problem, fix=fix, file=error.file, row=error.row, column=error.column)


def refuse_all(refused: Sequence[InputError]) -> InputError:
    """The error of a file of which nothing can be answered: the first refusal's, with the number of all."""
    first = refused[0]
    if len(refused) == 1:
        return first
    problem = f"{first.problem} Nothing of the file can be answered; {len(refused):,} such faults were found."
    return InputError(first.code, problem, fix=first.fix, file=first.file, row=first.row, column=first.column)


def _hint_of(error: InputError) -> str:
    """The column that was perhaps meant, as the reader's remedy ends."""
    _, mark, hint = error.fix.partition("; did you mean")
    return f"{mark}{hint}" if mark else "."
