"""Stage `split` for sequences: whole ones to training, validation and test; equal sequences stay on one side."""

from pathlib import Path
from typing import ClassVar

import polars as pl

from tasks.classification.splitting import (
    DivisionSettings,
    describe_dropped,
    draw_splits,
    find_exact_duplicates,
    must_hold,
    put_held_rows_first,
    read_identities,
    write_parts,
)
from tasks.series.frames import ROWS_FILE, VALUES
from tasks.store import Artefact

__all__ = ["SequenceSplitSettings", "must_hold", "write_splits"]


class SequenceSplitSettings(DivisionSettings):
    """How sequences are divided; the shares apply where the source has no official split."""

    unit: ClassVar[str] = "sequence"


def hash_values(seed: int) -> pl.Expr:
    """Hash of all numbers of a sequence."""
    return pl.struct(VALUES).hash(seed)


def write_splits(folder: Path, *, rows: Artefact, held: Artefact | None, settings: SequenceSplitSettings) -> dict:
    """Fill the artefact's folder: one file per split, and `dropped.parquet` with the reason for each missing sequence.

    Raises InputError: E-DATA-002 to -004.
    """
    frame = pl.scan_parquet(rows.file(ROWS_FILE))
    if held is not None:
        frame = put_held_rows_first(frame, held, rows.rows, hash_values)
    identities = read_identities(frame, settings.seed, hash_values)
    dropped = find_exact_duplicates(identities, settings.unit)
    kept = identities.join(dropped, on="row", how="anti", maintain_order="left").with_columns(cluster="row")
    summary = write_parts(folder, frame, draw_splits(kept, settings), dropped.sort("row"))
    warnings = [*rows.summary["warnings"], *describe_dropped(dropped.sort("row"), rows.rows)]
    return {**summary, "channels": rows.summary["channels"], "warnings": warnings}
