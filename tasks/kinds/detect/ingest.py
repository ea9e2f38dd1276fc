"""Files of any supported kind to one table of series to monitor: what stage `ingest` does for detectors.

Rows are parsed, put in order and cleared of duplicates as those of forecasts are, but need not lie on a regular grid:
a row is a step, however much time lies between it and the next. Each may say whether it is anomalous.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import polars as pl
import pyarrow as pa

from tasks.errors import plural
from tasks.kinds.detect.source import DetectionSource
from tasks.kinds.detect.summaries import WatchedRowsSummary
from tasks.panel.canonical import PARKED_FILE, describe_others, make_sheet, park_rows, write_canonical
from tasks.panel.cells import MISSING, RowParser
from tasks.panel.frames import ROWS_FILE, count_missing
from tasks.panel.ordering import NO_DUPLICATES, Unsorted, describe_reading, find_duplicates, sort_times
from tasks.panel.policies import Sheet
from tasks.progress import Progress, emit
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake, RowCheck
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
        return super().__call__(raw.with_columns(label=cell.str.to_lowercase()), intake)

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


def row_check(settings: DetectionSource) -> RowCheck:
    """What makes checked rows of raw ones."""
    return LabelledRowParser(settings.with_preset())


def write_rows(
    folder: Path,
    *,
    settings: DetectionSource,
    inputs: Inputs,
    digest: str,
    intake: Intake[DetectionSource] | None = None,
    channels: Sequence[str] | None = None,
) -> WatchedRowsSummary:
    """Read every input into `rows.parquet`: row, series, time, label, value.*; returns counts, clock and warnings.

    In a table with a row per channel, those of other than the given channels are left out.

    Raises InputError: E-DATA-001, E-DET-001, E-NAB-001, E-NAB-002, E-TIME-001 to -014, E-SER-001 to -005, and what the
    readers raise; ResourceError (E-DATA-023) beyond `max_rows`; IntegrityError (E-INT-003) if an input changed
    meanwhile.
    """
    settings = settings.with_preset()
    intake, parser = intake or Intake(settings), LabelledRowParser(settings, channels=channels)
    num_rows = park_rows(folder / PARKED_FILE, inputs, intake, parser)
    inputs.refuse_changed(digest)
    sheet = make_sheet(folder, inputs, parser)
    ordered, unsorted = order_rows(sheet)
    duplicates = find_duplicates(sheet, ordered) if settings.duplicates != "keep" else NO_DUPLICATES
    # A table with a row per channel has no label column, and several rows become one.
    label, num_contrary = pl.lit(None, pl.UInt8), 0
    if settings.channel_column is None:
        merged = _labels_of_merged(sheet, duplicates)
        label = pl.col("row").replace_strict(merged["row"], merged["label"], default=parse_label())
        num_contrary = int(merged["is_contrary"].sum())
    channels = write_canonical(folder / ROWS_FILE, sheet, ordered, duplicates, label.alias("label"))
    sheet.path.unlink()
    summary = WatchedRowsSummary(
        **_describe(folder / ROWS_FILE, sheet),
        channels=channels,
        clock=sheet.clock,
        zone=parser.time_line.zone,
        unsorted=unsorted.count,
        unsorted_explained=unsorted.explained,
        duplicates=duplicates.height,
        sentinels=dict(parser.sentinels),
        **intake.account(inputs, digest),
    )
    emit(Progress(stage="ingest", done=num_rows, total=num_rows, finished=True))
    said = describe_reading(summary, settings, intake, num_rows=num_rows)
    said += [*describe_others(parser), *parser.time_line.warnings()]
    if num_contrary:
        count = plural(num_contrary, "row")
        said.append(f"merged {count} with one of another label; what is kept counts as anomalous")
    intake.note(merged=duplicates.height, warnings=said)
    return summary.model_copy(update={"warnings": intake.warnings})


def _labels_of_merged(sheet: Sheet, duplicates: pl.DataFrame) -> pl.DataFrame:
    """The label of rows that repeat a time, whichever of them is kept: anomalous if one is, unknown if all are.

    Columns row, label (UInt8), is_contrary: whether the row itself has another.
    """
    groups = pl.concat([duplicates, duplicates.select(row="of_row", of_row="of_row").unique()])
    is_member = pl.col("row").is_in(groups["row"].implode())
    own = pl.scan_parquet(sheet.path).filter(is_member).select("row", own=parse_label()).collect(engine="streaming")
    members = groups.join(own, on="row").with_columns(label=pl.col("own").max().over("of_row"))
    return members.select("row", "label", is_contrary=(pl.col("own") != pl.col("label")).fill_null(value=False))


def order_rows(sheet: Sheet) -> tuple[pl.DataFrame, Unsorted]:
    """Order rows by series, and within these by time unless they are to stay where they are.

    Also says which went back in time and were sorted. Raises InputError (E-TIME-013) as the policy says.
    """
    if sheet.settings.unsorted == "keep":
        return sheet.times().sort("series", maintain_order=True), Unsorted()
    return sort_times(sheet, sheet.times())


def _describe(path: Path, sheet: Sheet) -> dict:
    """Count the rows, series, labels and missing numbers of the canonical table."""
    rows = pl.scan_parquet(path)
    counts = rows.select(
        rows=pl.len(),
        series=pl.col("series").n_unique(),
        labelled_rows=pl.col("label").count(),
        anomalous_rows=pl.col("label").sum(),
        first=pl.col("time").cast(pl.Int64).min(),
        last=pl.col("time").cast(pl.Int64).max(),
    )
    found = counts.collect(engine="streaming").row(0, named=True)
    return {
        "first_time": sheet.show(found.pop("first")),
        "last_time": sheet.show(found.pop("last")),
        **found,
        "labelled": found["labelled_rows"] > 0,
        "missing": count_missing(rows),
    }
