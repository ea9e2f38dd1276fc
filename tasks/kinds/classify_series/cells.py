"""Raw cells of a table of labelled sequences to rows of numbers, each with its label and official split."""

from functools import cached_property

import polars as pl
import pyarrow as pa

from tasks.kinds.classify_series.source import SequenceSource
from tasks.panel.cells import RowParser
from tasks.sources.intake import Intake
from tasks.sources.row_checks import Check, label_checks, renamed_label, with_label_and_split


class LabelledRowParser(RowParser):
    """Parses the batches of a source of labelled sequences."""

    def __init__(self, settings: SequenceSource) -> None:
        super().__init__(settings)
        self._labels = settings

    def __call__(self, raw: pl.DataFrame, intake: Intake) -> pl.DataFrame:
        """Return the good rows, with the columns of `schema`.

        Raises InputError: E-DATA-012, -013, -021, -022, E-ENC-004, and what `RowParser` raises.
        """
        rows = super().__call__(with_label_and_split(raw), intake)
        intake.spellings.add(rows)
        return rows.with_columns(label=renamed_label(self._labels))

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns of a good row: those of every parser, then label and split."""
        return pa.schema([*super().schema, ("label", pa.large_string()), ("split", pa.large_string())])

    def checks(self) -> list[Check]:
        """List what a row must be, in the order in which the checks speak."""
        return [*super().checks(), *label_checks(self._labels)]
