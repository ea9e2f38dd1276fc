"""Files of any supported kind to one table of labelled sequences: what stage `ingest` does for them.

Rows are parsed, put in order and cleared of duplicates as those of time series are. The numbers of all sequences are in
memory once, while they are gathered.
"""

from pathlib import Path

import polars as pl

from tasks.errors import InputError, quoted
from tasks.kinds.classify_series.cells import LabelledRowParser
from tasks.kinds.classify_series.frames import gather_sequences
from tasks.kinds.classify_series.incomplete import describe_incomplete, find_incomplete, leave_out
from tasks.kinds.classify_series.source import SequenceSource, SequenceTable
from tasks.panel.account import describe_reading
from tasks.panel.canonical import write_canonical
from tasks.panel.cells import RowParser
from tasks.panel.duplicates import find_duplicates
from tasks.panel.frames import ROWS_FILE, VALUES, count_missing
from tasks.panel.ordering import sort_times
from tasks.panel.parking import PARKED_FILE, park_rows
from tasks.panel.policies import Sheet
from tasks.panel.refusals import Refusal
from tasks.progress import Progress, emit
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake

STEPS_FILE = "steps.parquet"
MAX_LABELS = 1_000
MIN_LABELS = 2


def write_rows(folder: Path, *, settings: SequenceSource, inputs: Inputs, digest: str) -> dict:
    """Read every input into `rows.parquet`: row, series, label, split, length, time, value.*; returns counts.

    Raises InputError: E-DATA-001, E-DATA-002, E-DATA-014, E-DATA-030, E-TIME-001 to -014, E-SER-001 to -005, E-SEQ-001,
    E-SEQ-002, and what the readers raise; IntegrityError (E-INT-003) if an input changed meanwhile.
    """
    settings = settings.with_preset()
    intake, parser = Intake(settings), LabelledRowParser(settings)
    summary = park_and_gather(folder, inputs, intake, parser)
    inputs.refuse_changed(digest)
    labels = _read_labels(folder / PARKED_FILE, settings, intake.spellings.merged(settings))
    sequences = pl.scan_parquet(folder / STEPS_FILE).join(labels.lazy(), on="series", maintain_order="left")
    columns = ["row", "series", "label", "split", "length", "time"]
    sequences.select(*columns, VALUES).sink_parquet(folder / ROWS_FILE, compression="zstd", maintain_order=True)
    for name in (PARKED_FILE, STEPS_FILE):
        (folder / name).unlink()
    emit(Progress(stage="ingest", done=summary["steps"], total=summary["steps"], finished=True))
    return {
        "rows": labels.height,
        "labels": _count(labels["label"]),
        "splits": _count(labels["split"]),
        **summary,
        "inputs": {"files": len(inputs.files), "bytes": intake.num_bytes, "sha256": digest},
        "warnings": [
            *_describe(summary, intake, parser),
            *intake.spellings.warnings(settings),
        ],
    }


def read_sequences(
    folder: Path, *, inputs: Inputs, intake: Intake[SequenceTable], refusals: list[Refusal] | None = None
) -> pl.DataFrame:
    """Read sequences without labels, in the order in which they first appear, with `folder` for scratch files.

    Raises what `write_rows` does, labels aside; with a list `refusals`, sequences without a number go there.
    """
    parser = RowParser(intake.settings)
    summary = park_and_gather(folder, inputs, intake, parser, refusals)
    intake.note(merged=summary["duplicates"], warnings=_describe(summary, intake, parser))
    return pl.read_parquet(folder / STEPS_FILE)


def park_and_gather(
    folder: Path,
    inputs: Inputs,
    intake: Intake[SequenceTable],
    parser: RowParser,
    refusals: list[Refusal] | None = None,
) -> dict:
    """Leave the parsed rows in `PARKED_FILE` and whole sequences in `STEPS_FILE`; returns what was counted.

    Sequences that lost a row are left out and named. Raises InputError (E-SEQ-001) for a sequence without a number, or
    adds it to `refusals`, and (E-SEQ-004) if none is left.
    """
    intake.bad_places = []
    num_steps = park_rows(folder / PARKED_FILE, inputs, intake, parser)
    lost = find_incomplete(folder / PARKED_FILE, inputs.files, intake, parser)
    incomplete = [refusal.series for refusal in lost]
    num_steps -= leave_out(folder / PARKED_FILE, incomplete)
    if refusals is not None:
        refusals.extend(lost)
    if not num_steps:
        raise lost[0].error
    sheet = Sheet(path=folder / PARKED_FILE, settings=intake.settings, clock=parser.time_line.clock, files=inputs.files)
    ordered, unsorted = sort_times(sheet, sheet.times())
    duplicates = find_duplicates(sheet, ordered)
    canonical = folder / "canonical.parquet"
    channels = write_canonical(canonical, sheet, ordered, duplicates)
    empty = _find_empty(sheet, canonical)
    if empty and refusals is None:
        raise empty[0].error
    kept = gather_sequences(canonical, sheet).filter(~pl.col("series").is_in([refusal.series for refusal in empty]))
    kept.sink_parquet(folder / STEPS_FILE, maintain_order=True)
    if refusals is not None:
        refusals.extend(empty)
    missing = count_missing(canonical)
    canonical.unlink()
    return {
        "steps": num_steps - duplicates.height,
        "channels": channels,
        "unsorted": unsorted.count,
        "unsorted_explained": unsorted.explained,
        "duplicates": duplicates.height,
        "missing": missing,
        "sentinels": dict(parser.sentinels),
        "skipped": intake.skipped,
        "skipped_examples": intake.examples,
        "incomplete": incomplete,
        "filtered": dict(intake.filtered),
        "blank_lines": intake.blank_lines,
    }


def _describe(summary: dict, intake: Intake[SequenceTable], parser: RowParser) -> list[str]:
    num_rows = summary["steps"] + summary["duplicates"]
    said = describe_reading(
        summary, settings=intake.settings, intake=intake, num_rows=num_rows, sentinels=parser.sentinels
    )
    # A prediction names each of them itself.
    left_out = summary["incomplete"] if intake.refused is None else []
    return said + [describe_incomplete(left_out) for _ in left_out[:1]] + parser.time_line.warnings()


def _find_empty(sheet: Sheet, canonical: Path) -> list[Refusal]:
    """The sequences of which every number is missing (E-SEQ-001), in the order of the source."""
    is_empty = pl.all_horizontal(VALUES.null_count() == pl.len())
    steps = pl.scan_parquet(canonical).group_by("series").agg(is_empty=is_empty, row=pl.col("row").min())
    empty = steps.filter("is_empty").sort("row").select("series", "row").collect(engine="streaming")
    return [Refusal(series, _without_numbers(series, sheet.place(row))) for series, row in empty.iter_rows()]


def _without_numbers(series: str, place: tuple[str, int]) -> InputError:
    file, line = place
    return InputError(
        "E-SEQ-001",
        f"sequence {quoted(series)} has no number at any step.",
        fix="fill them in, or leave the sequence out.",
        file=file,
        row=line,
    )


def _read_labels(parked: Path, settings: SequenceSource, merged: dict[str, str]) -> pl.DataFrame:
    """One row per sequence: series, label, split; labels that were `merged` count as one.

    Raises InputError: E-SEQ-002 where one changes within a sequence, E-DATA-002 or -014 for too few or too many labels.
    """
    label = pl.col("label").replace(merged)
    rows = pl.scan_parquet(parked).select("series", "file", "line", label, "split")
    for name in ("label", "split"):
        first = pl.col(name).first().over("series")
        other = rows.with_columns(first=first).filter(pl.col(name).ne_missing(pl.col("first"))).head(1).collect()
        if other.height:
            raise _changed(name, other.row(0, named=True), settings)
    labels = rows.group_by("series", maintain_order=True).agg(pl.col("label").first(), pl.col("split").first())
    labels = labels.collect()
    _refuse_unusable(labels)
    return labels


def _changed(name: str, row: dict, settings: SequenceSource) -> InputError:
    got, first = (quoted(value) if value is not None else "nothing" for value in (row[name], row["first"]))
    return InputError(
        "E-SEQ-002",
        f"got {got} in sequence {quoted(row['series'])}, whose first row has {first}.",
        fix=f"give all rows of a sequence one {name}, or check id_columns.",
        file=row["file"],
        row=row["line"],
        column=settings.named_columns()[name],
    )


def _refuse_unusable(labels: pl.DataFrame) -> None:
    names = labels["label"].drop_nulls().unique().sort().to_list()
    if len(names) < MIN_LABELS:
        raise InputError(
            "E-DATA-002",
            f"found {', '.join(map(quoted, names)) or 'no label'} in {labels.height} sequences, expected at least "
            f"{MIN_LABELS} classes.",
            fix="check label_column, or add sequences of another class.",
        )
    if len(names) > MAX_LABELS:
        raise InputError(
            "E-DATA-014",
            f"has more than {MAX_LABELS} labels, such as {', '.join(map(quoted, names[:3]))}.",
            fix="name a column of classes as label_column; this one looks like an id or a quantity.",
        )


def _count(names: pl.Series) -> dict[str, int]:
    return dict(names.drop_nulls().value_counts().sort(names.name).iter_rows())
