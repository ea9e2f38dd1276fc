"""Stage `split` for texts: rows to training, validation and test rows, through a leak firewall.

No two splits share a text, whether exactly (after folding case, white space and Unicode form) or nearly. An official
split is kept: its test rows all stay, and what repeats them elsewhere goes. Otherwise rows are drawn by label. Rows
held from an earlier split are treated as an official one, so that models of different days can be compared.
"""

from pathlib import Path

import polars as pl

from tasks.labelled.split import must_hold, write_division
from tasks.labelled.summaries import LabelledSplitSummary
from tasks.store.artefacts import Artefact
from tasks.text.division import TextDivisionSettings, clustering, hash_folded_text
from tasks.text.telltales import find_telltale_tokens

__all__ = ["SplitSettings", "must_hold", "write_splits"]


class SplitSettings(TextDivisionSettings):
    """How rows are divided; the shares apply where the source has no official split."""


def write_splits(
    folder: Path, *, rows: Artefact, held: Artefact | None, settings: SplitSettings
) -> LabelledSplitSummary:
    """Fill the artefact's folder: one file per split, and `dropped.parquet` with the reason for each missing row."""
    told = {"content": hash_folded_text, "cluster": clustering(settings)}
    divided = write_division(folder, rows=rows, held=held, settings=settings, **told)
    telltales = find_telltale_tokens(pl.scan_parquet(folder / "train.parquet"))
    return divided.model_copy(update={"warnings": [*divided.warnings, *telltales]})
