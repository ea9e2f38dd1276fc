"""Files of any supported kind to one table of labelled sequences: what stage `ingest` does for them.

Rows are parsed, put in order and cleared of duplicates as those of time series are. The numbers of all sequences are in
memory once, while they are gathered.
"""

import contextlib
from functools import cached_property
from pathlib import Path

import polars as pl
import pyarrow as pa

from tasks.contract.table_model import Refusal
from tasks.errors import InputError, quoted
from tasks.kinds.classify_series.frames import gather_sequences
from tasks.kinds.classify_series.incomplete import describe_incomplete, find_incomplete, leave_out
from tasks.kinds.classify_series.source import SequenceSource, SequenceTable
from tasks.kinds.classify_series.summaries import StepsSummary
from tasks.panel.canonical import PARKED_FILE, make_sheet, park_rows, write_canonical
from tasks.panel.cells import RowParser
from tasks.panel.frames import ROWS_FILE, VALUES, count_missing
from tasks.panel.ordering import describe_reading, find_duplicates, sort_times
from tasks.panel.policies import Sheet
from tasks.panel.unfolding import read_rows
from tasks.progress import Progress, emit
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake, RowCheck
from tasks.sources.row_checks import Check, count_names, label_checks, renamed_label, with_label_and_split

STEPS_FILE = "steps.parquet"
# Few sequences are in memory at once where a file of them is read in parts.
GROUP_SEQUENCES = 1_000
MAX_LABELS = 1_000
LABELS = pl.Schema({"series": pl.String, "label": pl.String})
MIN_LABELS = 2


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


def row_check(settings: SequenceSource) -> RowCheck:
    """What makes checked rows of raw ones."""
    return LabelledRowParser(settings.with_preset())


def write_rows(folder: Path, *, settings: SequenceSource, inputs: Inputs, digest: str) -> StepsSummary:
    """Read every input into `rows.parquet`: row, series, label, split, length, time, value.*; returns counts.

    Raises InputError: E-DATA-001, E-DATA-002, E-DATA-014, E-DATA-030, E-TIME-001 to -014, E-SER-001 to -005, E-SEQ-001,
    E-SEQ-002, and what the readers raise; IntegrityError (E-INT-003) if an input changed meanwhile.
    """
    settings = settings.with_preset()
    intake, parser = Intake(settings), LabelledRowParser(settings)
    found = park_and_gather(folder, inputs, intake, parser)
    inputs.refuse_changed(digest)
    labels = _read_labels(folder / PARKED_FILE, settings, intake.spellings.merged(settings))
    sequences = pl.scan_parquet(folder / STEPS_FILE).join(labels.lazy(), on="series", maintain_order="left")
    columns = ["row", "series", "label", "split", "length", "time"]
    sequences.select(*columns, VALUES).sink_parquet(folder / ROWS_FILE, compression="zstd", maintain_order=True)
    for name in (PARKED_FILE, STEPS_FILE):
        (folder / name).unlink()
    emit(Progress(stage="ingest", done=found.steps, total=found.steps, finished=True))
    return StepsSummary(
        **found.as_json(),
        labels=count_names(labels["label"]),
        splits=count_names(labels["split"]),
        **intake.account(inputs, digest),
        warnings=[*_describe(found, intake, parser), *intake.spellings.warnings(settings)],
    )


def write_sequences(
    folder: Path,
    *,
    inputs: Inputs,
    intake: Intake[SequenceTable],
    refusals: list[Refusal] | None = None,
    labelled: SequenceSource | None = None,
) -> None:
    """Read sequences into `rows.parquet`, in the order in which they first appear.

    With the rules for labels of `labelled` the column `label` has those that are known. Raises what `write_rows` does,
    labels aside; with a list `refusals`, sequences without a number go there.
    """
    parser, digest = RowParser(intake.settings), inputs.digest()
    found = park_and_gather(folder, inputs, intake, parser, refusals)
    inputs.refuse_changed(digest)
    intake.note(merged=found.duplicates, warnings=_describe(found, intake, parser))
    sequences = pl.scan_parquet(folder / STEPS_FILE)
    if labelled is not None:
        labels = pl.LazyFrame(list(read_true_labels(inputs, labelled).items()), LABELS, orient="row")
        sequences = sequences.join(labels, on="series", how="left", maintain_order="left")
    sequences.sink_parquet(folder / ROWS_FILE, maintain_order=True)
    for name in (PARKED_FILE, STEPS_FILE):
        (folder / name).unlink()


def read_true_labels(inputs: Inputs, settings: SequenceSource) -> dict[str, str]:
    """The label of each sequence, for files that have a column of them; all else that is read in them is ignored."""
    labels: dict[str, str] = {}
    with contextlib.suppress(InputError):
        for rows in read_rows(inputs.files, Intake(settings, refused=[]), LabelledRowParser(settings)):
            first = rows.drop_nulls("label").unique("series", keep="first").select("series", "label")
            labels = dict(first.iter_rows()) | labels
    return labels


def park_and_gather(
    folder: Path,
    inputs: Inputs,
    intake: Intake[SequenceTable],
    parser: RowParser,
    refusals: list[Refusal] | None = None,
) -> StepsSummary:
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
    sheet = make_sheet(folder, inputs, parser)
    ordered, unsorted = sort_times(sheet, sheet.times())
    duplicates = find_duplicates(sheet, ordered)
    canonical = folder / "canonical.parquet"
    channels = write_canonical(canonical, sheet, ordered, duplicates)
    empty = _find_empty(sheet, canonical)
    if empty and refusals is None:
        raise empty[0].error
    kept = gather_sequences(canonical, sheet).filter(~pl.col("series").is_in([refusal.series for refusal in empty]))
    kept.sink_parquet(folder / STEPS_FILE, maintain_order=True, row_group_size=GROUP_SEQUENCES)
    if refusals is not None:
        refusals.extend(empty)
    missing = count_missing(pl.scan_parquet(canonical))
    canonical.unlink()
    return StepsSummary(
        rows=pl.scan_parquet(folder / STEPS_FILE).select(pl.len()).collect().item(),
        steps=num_steps - duplicates.height,
        channels=channels,
        unsorted=unsorted.count,
        unsorted_explained=unsorted.explained,
        duplicates=duplicates.height,
        missing=missing,
        sentinels=dict(parser.sentinels),
        incomplete=incomplete,
        blank_lines=intake.blank_lines,
    )


def _describe(found: StepsSummary, intake: Intake[SequenceTable], parser: RowParser) -> list[str]:
    said = describe_reading(found, intake.settings, intake, num_rows=found.steps + found.duplicates)
    # A prediction names each of them itself.
    left_out = found.incomplete if intake.refused is None else []
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
