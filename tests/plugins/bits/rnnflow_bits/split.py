"""Lines to training, validation and test; equal lines stay on one side."""

from functools import partial
from typing import ClassVar

import polars as pl

from tasks.labelled.division import DivisionSettings
from tasks.labelled.split import must_hold, write_division

__all__ = ["LineSplitSettings", "must_hold", "write_splits"]


class LineSplitSettings(DivisionSettings):
    """How lines are divided; the shares apply where the source has no official split."""

    unit: ClassVar[str] = "line"


write_splits = partial(write_division, content=pl.col("text").hash)
