"""Stage `split` for sequences: whole ones to training, validation and test; equal sequences stay on one side."""

from pathlib import Path
from typing import ClassVar

import polars as pl

from tasks.errors import InputError, quoted
from tasks.kinds.classify_series.summaries import SequenceSplitSummary, StepsSummary
from tasks.labelled.division import DivisionSettings
from tasks.labelled.split import must_hold, write_division
from tasks.panel.frames import VALUES
from tasks.store.artefacts import Artefact

__all__ = ["SequenceSplitSettings", "must_hold", "write_splits"]


class SequenceSplitSettings(DivisionSettings):
    """How sequences are divided; the shares apply where the source has no official split."""

    unit: ClassVar[str] = "sequence"


def hash_values(seed: int) -> pl.Expr:
    """Hash of all numbers of a sequence."""
    return pl.struct(VALUES).hash(seed)


def write_splits(
    folder: Path, *, rows: Artefact, held: Artefact | None, settings: SequenceSplitSettings
) -> SequenceSplitSummary:
    """Fill the artefact's folder: one file per split, and `dropped.parquet` with the reason for each missing sequence.

    Raises InputError: E-DATA-002 to -004, E-SEQ-010 for held sequences of other channels.
    """
    _refuse_other_channels(rows, held)
    divided = write_division(folder, rows=rows, held=held, settings=settings, content=hash_values)
    return SequenceSplitSummary(**divided.as_json(), channels=StepsSummary.of(rows).channels)


def _refuse_other_channels(rows: Artefact, held: Artefact | None) -> None:
    """Refuse sequences that cannot be compared with the held ones: E-SEQ-010."""
    own, others = StepsSummary.of(rows).channels, [] if held is None else SequenceSplitSummary.of(held).channels
    if held is None or set(own) == set(others):
        return
    found, kept = (", ".join(map(quoted, names)) for names in (own, others))
    raise InputError(
        "E-SEQ-010",
        f"the sequences have the channels {found}, but those that the model's champion was tested on have {kept}.",
        fix="read the same source.value_columns, or set registry.model_name to an unused name.",
    )
