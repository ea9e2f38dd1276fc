"""The rows that a source begins with, read and checked as a run reads them, before anything is started."""

from collections.abc import Callable, Iterable, Sequence

import polars as pl

from tasks.sources.inputs import InputFile, find_inputs
from tasks.sources.intake import BATCH_BYTES, Intake, RowCheck
from tasks.sources.readers import read_files
from tasks.sources.settings import FileSettings

FIRST_ROWS = 1_000
# The texts of a folder are read together, and opening files is what takes the time.
FIRST_FILES = 100

Reader = Callable[[Sequence[InputFile], Intake, RowCheck], Iterable[pl.DataFrame]]


def read_first_rows(settings: FileSettings, check: RowCheck, read: Reader = read_files) -> pl.DataFrame:
    """Find all files of a source, and return its first rows as `check` makes them: whole batches of up to 10,000.

    What is refused here would be refused by a run, in the same words, if that reads these rows by `read` too.
    """
    inputs, intake = find_inputs(settings), Intake(settings.with_preset())
    frames, num_rows = [], 0

    def check_and_count(raw: pl.DataFrame, intake: Intake) -> pl.DataFrame:
        nonlocal num_rows
        num_rows += raw.height
        return check(raw, intake)

    for frame in read(inputs.files[:FIRST_FILES], intake, check_and_count):
        frames.append(frame)
        if num_rows >= FIRST_ROWS or intake.num_bytes >= BATCH_BYTES:
            break
    return pl.concat(frames) if frames else pl.DataFrame()
