"""What every row of a source of texts must be."""

import polars as pl

from tasks.kinds.classify.source import SourceSettings
from tasks.sources.intake import Intake
from tasks.sources.row_checks import Check, check_labelled, holds_nul, label_checks

ROW_COLUMNS = ("text", "label", "source", "split")


def row_checks(settings: SourceSettings) -> list[Check]:
    """List the checks in the order in which they speak."""
    text, limit = pl.col("text"), settings.max_document_bytes
    return [
        Check("E-DATA-020", "text", text.is_null(), "got null, expected a text.", "fill the text in, or drop the row."),
        Check("E-ENC-004", "text", holds_nul(text), "contains a NUL character.", "remove it."),
        Check(
            "E-DATA-008",
            "text",
            text.str.len_bytes() > limit,
            f"is longer than {limit} bytes.",
            "cut the document, or raise max_document_bytes.",
        ),
        *label_checks(settings),
    ]


def check_rows(raw: pl.DataFrame, intake: Intake[SourceSettings]) -> pl.DataFrame:
    """Filter by `where`, refuse bad rows, and return the rest: text, label, source, split.

    Labels of the split `unlabelled` are not read.
    """
    return check_labelled(raw, intake, row_checks(intake.settings)).select(ROW_COLUMNS)
