"""Errors of the readers in terms of a prediction, whose file is read with the settings of training."""

import contextlib
import re
import shlex
from collections.abc import Callable, Generator

from tasks.errors import InputError, quoted
from tasks.sources.settings import FileSettings

MISSING_COLUMN = "E-SRC-005"
# A setting as remedies write it for a recipe, such as `set unsorted = "sort"`.
ASSIGNMENT = re.compile(r'(set )?(?<![\w.])([a-z_]+) = ("[^"]*"|\[[^\]]*\]|true|false)')


@contextlib.contextmanager
def naming_remedies(settings: FileSettings) -> Generator[None]:
    """Give errors remedies that work without a recipe to change."""
    try:
        yield
    except InputError as error:
        raise in_words_of_prediction(error, settings) from error.__cause__


def in_words_of_prediction(error: InputError, settings: FileSettings) -> InputError:
    """The error with a remedy that works at a prediction."""
    fix = _find_column(error, settings) if error.code == MISSING_COLUMN else _as_options(error.fix, settings)
    if fix == error.fix:
        return error
    return InputError(error.code, error.problem, fix=fix, file=error.file, row=error.row, column=error.column)


def _find_column(error: InputError, settings: FileSettings) -> str:
    if error.column in settings.where:
        wanted = quoted(settings.where[error.column])
        return f"add the column ({wanted} in the rows to answer), or answer all rows with --set source.where={{}}."
    if error.column == _only_text_column(settings):
        return f"name the column of the texts with --text-column{_hint_of(error, settings)}"
    return f"name the column in the file as in training{_hint_of(error, settings)}"


def _only_text_column(settings: FileSettings) -> str | None:
    columns = getattr(settings, "text_columns", ())
    return columns[0] if len(columns) == 1 else None


def _as_options(fix: str, settings: FileSettings) -> str:
    """A remedy whose settings of the source are options of the command."""

    def as_option(verb: str, name: str, value: str) -> str:
        option = f"--set {shlex.quote(f'source.{name}={value.strip(chr(34))}')}"
        return f"pass {option}" if verb else option

    return _rewrite(fix, settings, as_option)


def in_words_of_training(fix: str, settings: FileSettings) -> str:
    """A remedy whose settings of the source can only be changed by training again."""
    return _rewrite(fix, settings, lambda verb, *parts: f"{verb and 'train with '}source.{' = '.join(parts)}")


def _rewrite(fix: str, settings: FileSettings, write: Callable[[str, str, str], str]) -> str:
    """Write the assignments of a remedy to settings of the source in other words."""
    names = type(settings).model_fields
    return ASSIGNMENT.sub(lambda found: write(*found.groups("")) if found[2] in names else found[0], fix)


def refuse_all(first: InputError, number: int) -> InputError:
    """The error of a file of which nothing can be answered: the first refusal's, with the number of all."""
    if number == 1:
        return first
    problem = f"{first.problem} Nothing in the file can be answered; {number:,} such faults were found."
    return InputError(first.code, problem, fix=first.fix, file=first.file, row=first.row, column=first.column)


def _hint_of(error: InputError, settings: FileSettings) -> str:
    """The column that was perhaps meant, or what a missing header asks for, as the reader's remedy ends."""
    _, mark, hint = error.fix.partition("; ")
    return f"{mark}{_as_options(hint, settings)}" if mark else "."
