"""Texts read from a table as a run reads them, and the first two lines of what is said of one that cannot be."""

from pathlib import Path

import polars as pl
import pytest

from tasks.errors import InputError
from tasks.kinds.classify.ingest import check_rows
from tasks.kinds.classify.source import SourceSettings
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import Intake
from tasks.sources.readers import read_files


def read(path: Path, **settings) -> tuple[pl.DataFrame, Intake]:
    source = SourceSettings(path=str(path), **settings).with_preset()
    intake = Intake(source)
    return pl.concat(read_files(find_inputs(source).files, intake, check_rows)), intake


def error_of(path: Path, **settings) -> str:
    with pytest.raises(InputError) as caught:
        read(path, **settings)
    return str(caught.value).partition("\nLine ")[0]  # which test_refused_lines covers
