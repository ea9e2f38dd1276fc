"""Raw cells of a table of series to rows of numbers, each with what is known of its being anomalous."""

from functools import cached_property

import polars as pl
import pyarrow as pa

from tasks.panel.cells import MISSING, RowParser
from tasks.sources.intake import Intake
from tasks.sources.row_checks import Check

LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}
UNKNOWN = dict.fromkeys(MISSING)


class LabelledRowParser(RowParser):
    """Parses the batches of a source of series; the column `label` is empty where nothing is known."""

    def __call__(self, raw: pl.DataFrame, intake: Intake) -> pl.DataFrame:
        """Return the good rows, with the columns of `schema`.

        Raises InputError: E-DET-001, and what `RowParser` raises.
        """
        cell = pl.col("label").str.strip_chars() if "label" in raw.columns else pl.lit(None, pl.String)
        known = pl.when(~cell.is_in(self._settings.missing_values)).then(cell)
        return super().__call__(raw.with_columns(label=known.str.to_lowercase()), intake)

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns of a good row: those of every parser, then the label."""
        return pa.schema([*super().schema, ("label", pa.large_string())])

    def checks(self) -> list[Check]:
        """List what a row must be, in the order in which the checks speak."""
        known = Check(
            "E-DET-001",
            "label",
            ~pl.col("label").is_in([*LABELS, *UNKNOWN]).fill_null(value=True),
            "got {value}, expected 0 or 1.",
            "write 1 for an anomalous row, 0 for an ordinary one, and nothing where that is unknown.",
        )
        return [*super().checks(), known]


def parse_label() -> pl.Expr:
    """The column `label` as 1 (anomalous), 0 (ordinary) or null (unknown), UInt8."""
    return pl.col("label").replace_strict({**LABELS, **UNKNOWN}, default=None, return_dtype=pl.UInt8)
