"""Files of any supported kind to one table of checked texts and labels: what stage `ingest` does for texts."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa

from tasks.errors import InputError, quoted
from tasks.kinds.classify.source import SourceSettings
from tasks.labelled.summaries import LabelledRowsSummary
from tasks.progress import Progress, emit
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake, RowCheck
from tasks.sources.readers import read_files
from tasks.sources.row_checks import Check, check_labelled, label_checks
from tasks.text.joined import with_text
from tasks.text.rows import ROWS_FILE, refuse_empty, text_checks, write_numbered

SCHEMA = pa.schema(
    {
        "row": pa.uint32(),
        "text": pa.large_string(),
        "label": pa.large_string(),
        "source": pa.large_string(),
        "split": pa.large_string(),
    }
)
ROW_COLUMNS = ("text", "label", "source", "split")
MAX_LABELS = 1_000
MIN_LABELS = 2


@dataclass
class Census:
    """Rows written so far, by label and by official split."""

    rows: int = 0
    blank_texts: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)

    def add(self, rows: pl.DataFrame) -> None:
        """Count a batch; raises InputError (E-DATA-014) when there are too many labels for classes."""
        self.rows += rows.height
        self.blank_texts += rows.select((pl.col("text").str.strip_chars() == "").sum()).item()
        for column, counts in (("label", self.labels), ("split", self.splits)):
            counts.update(dict(rows.drop_nulls(column).group_by(column).len().iter_rows()))
        if len(self.labels) > MAX_LABELS:
            raise InputError(
                "E-DATA-014",
                f"has more than {MAX_LABELS} labels, such as {', '.join(map(quoted, sorted(self.labels)[:3]))}.",
                fix="name a column of classes as label_column; this one looks like an id or a quantity.",
            )

    def merge_labels(self, merged: dict[str, str]) -> None:
        """Count labels under the spelling that stands for them."""
        for label, spelling in merged.items():
            self.labels[spelling] += self.labels.pop(label)


def write_rows(folder: Path, *, settings: SourceSettings, inputs: Inputs, digest: str) -> LabelledRowsSummary:
    """Read every input into `rows.parquet`; returns the counts, what was left out, and warnings.

    Raises InputError: E-DATA-001, E-DATA-002, E-DATA-014, E-DATA-030, and what the readers raise;
    ResourceError (E-DATA-023) beyond `max_rows`; IntegrityError (E-INT-003) if an input changed meanwhile.
    """
    intake = Intake(settings.with_preset())
    census = Census()
    batches = read_files(inputs.files, intake, check_rows)
    write_numbered(folder / ROWS_FILE, batches, SCHEMA, max_rows=settings.max_rows, count=census.add)
    inputs.refuse_changed(digest)
    merged = intake.spellings.merged(intake.settings)
    if merged:
        census.merge_labels(merged)
        _merge_labels(folder / ROWS_FILE, merged)
    _refuse_unusable(census, intake)
    emit(Progress(stage="ingest", done=census.rows, total=census.rows, finished=True))
    return LabelledRowsSummary(
        rows=census.rows,
        labels=dict(sorted(census.labels.items())),
        splits=dict(sorted(census.splits.items())),
        **intake.account(inputs, digest),
        warnings=[
            *intake.warnings_of_left_out(),
            *([f"blank texts: {census.blank_texts:,}"] if census.blank_texts else []),
            *intake.spellings.warnings(intake.settings),
        ],
    )


def row_checks(settings: SourceSettings) -> list[Check]:
    """List the checks in the order in which they speak."""
    return [*text_checks(settings), *label_checks(settings)]


def row_check(settings: SourceSettings) -> RowCheck:  # noqa: ARG001 (others parse by their settings)
    """What makes checked rows of raw ones."""
    return check_rows


def check_rows(raw: pl.DataFrame, intake: Intake[SourceSettings]) -> pl.DataFrame:
    """Filter by `where`, refuse bad rows, and return the rest: text, label, source, split.

    Labels of the split `unlabelled` are not read.
    """
    checks = row_checks(intake.settings)
    return check_labelled(with_text(raw, intake.settings), intake, checks).select(ROW_COLUMNS)


def _merge_labels(path: Path, merged: dict[str, str]) -> None:
    """Write the rows again, each label in the spelling that stands for it."""
    again = path.with_suffix(".merged")
    rows = pl.scan_parquet(path).with_columns(pl.col("label").replace(merged))
    rows.sink_parquet(again, compression="zstd", maintain_order=True)
    again.replace(path)


def _refuse_unusable(census: Census, intake: Intake) -> None:
    refuse_empty(census.rows, intake)
    if len(census.labels) < MIN_LABELS:
        counts = ", ".join(f"{count} x {quoted(label)}" for label, count in census.labels.items())
        raise InputError(
            "E-DATA-002",
            f"found {counts or 'no label'} in {census.rows} rows, expected at least {MIN_LABELS} classes.",
            fix="check label_column, or add rows of another class.",
        )
