"""Stage `split` for sequences: whole ones to training, validation and test; equal sequences stay on one side."""

from pathlib import Path
from typing import ClassVar

import polars as pl

from tasks.errors import InputError, quoted
from tasks.labelled.held_rows import follow_source
from tasks.labelled.split import (
    DivisionSettings,
    describe_division,
    draw_splits,
    find_exact_duplicates,
    must_hold,
    put_first,
    read_identities,
    write_parts,
)
from tasks.panel.frames import ROWS_FILE, VALUES
from tasks.store.artefacts import Artefact

__all__ = ["SequenceSplitSettings", "must_hold", "write_splits"]


class SequenceSplitSettings(DivisionSettings):
    """How sequences are divided; the shares apply where the source has no official split."""

    unit: ClassVar[str] = "sequence"


def hash_values(seed: int) -> pl.Expr:
    """Hash of all numbers of a sequence."""
    return pl.struct(VALUES).hash(seed)


def write_splits(folder: Path, *, rows: Artefact, held: Artefact | None, settings: SequenceSplitSettings) -> dict:
    """Fill the artefact's folder: one file per split, and `dropped.parquet` with the reason for each missing sequence.

    Raises InputError: E-DATA-002 to -004, E-SEQ-010 for held sequences of other channels.
    """
    _refuse_other_channels(rows, held)
    frame = pl.scan_parquet(rows.file(ROWS_FILE))
    kept = None if held is None else follow_source(frame, held, rows.rows, hash_values)
    frame = frame if kept is None else put_first(kept, frame, hash_values)
    identities = read_identities(frame, settings.seed, hash_values)
    dropped = find_exact_duplicates(identities, settings.unit).sort("row")
    whole = identities.join(dropped, on="row", how="anti", maintain_order="left").with_columns(cluster="row")
    drawn = draw_splits(whole, settings, () if kept is None else kept.changes.new_labels)
    summary = write_parts(folder, frame, drawn, dropped, kept)
    warnings = [*rows.summary["warnings"], *describe_division(folder, dropped, rows.rows, kept)]
    return {**summary, "channels": rows.summary["channels"], "warnings": warnings}


def _refuse_other_channels(rows: Artefact, held: Artefact | None) -> None:
    """Refuse sequences that cannot be compared with the held ones: E-SEQ-010."""
    if held is None or set(held.summary["channels"]) == set(rows.summary["channels"]):
        return
    found, kept = (", ".join(map(quoted, one.summary["channels"])) for one in (rows, held))
    raise InputError(
        "E-SEQ-010",
        f"the sequences have the channels {found}, and those that the model's champion was tested on have {kept}.",
        fix="read the same source.value_columns, or set registry.model_name to a name of its own.",
    )
