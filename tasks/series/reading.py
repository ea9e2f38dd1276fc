"""Files of any supported kind to one canonical table of series: what stage `ingest` does for time series.

Rows are parsed in batches into a parked file, so values are in memory a batch at a time; times alone are held to put
the rows in order. Only rows that are not yet sorted by series and time, and long tables, are sorted in memory.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import InputError, ResourceError, plural, quoted
from tasks.progress import Progress, emit
from tasks.series.account import describe_changes, describe_reading
from tasks.series.canonical import write_canonical
from tasks.series.cells import RowParser
from tasks.series.duplicates import find_duplicates
from tasks.series.frames import ROWS_FILE, count_missing
from tasks.series.ordering import sort_times
from tasks.series.policies import (
    Sheet,
    describe_gaps,
    find_gaps,
    refuse_irregular,
)
from tasks.series.source import SeriesSource
from tasks.series.time_grid import DTYPES, FOLLOWS_IN_SERIES, TimeGrid, infer_grid
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake
from tasks.sources.readers import read_files

PARKED_FILE = "parked.parquet"
MAX_SHOWN_GAPS = 3
MAX_SHOWN_NAMES = 5


def write_rows(
    folder: Path, *, settings: SeriesSource, inputs: Inputs, digest: str, intake: Intake[SeriesSource] | None = None
) -> dict:
    """Read every input into `rows.parquet`, sorted by series and time; returns counts, the grid, gaps and warnings.

    Raises InputError: E-DATA-001, E-TIME-001 to -019, E-SER-001 to -005, and what the readers raise;
    ResourceError (E-DATA-023) beyond `max_rows`; IntegrityError (E-INT-003) if an input changed meanwhile.
    """
    settings = settings.with_preset()
    intake, parser = intake or Intake(settings), RowParser(settings)
    num_rows = park_rows(folder / PARKED_FILE, inputs, intake, parser)
    inputs.refuse_changed(digest)
    sheet = Sheet(path=folder / PARKED_FILE, settings=settings, clock=parser.time_line.clock, files=inputs.files)
    summary = _arrange(folder, sheet, parser.time_line.zone)
    sheet.path.unlink()
    emit(Progress(stage="ingest", done=num_rows, total=num_rows, finished=True))
    said = describe_reading(summary, settings=settings, intake=intake, num_rows=num_rows, sentinels=parser.sentinels)
    said += [*_describe_gaps(summary), *parser.time_line.warnings()]
    intake.note(merged=summary["duplicates"], warnings=said)
    return summary | {
        "sentinels": dict(parser.sentinels),
        "skipped": intake.skipped,
        "skipped_examples": intake.examples,
        "filtered": dict(intake.filtered),
        "inputs": {"files": len(inputs.files), "bytes": intake.num_bytes, "sha256": digest},
        "warnings": intake.warnings,
    }


def write_history(folder: Path, intake: Intake[SeriesSource], inputs: Inputs, *, channels: Sequence[str]) -> None:
    """Read what goes on from its own end into `rows.parquet`, as `write_rows` does; the intake is told what was done.

    Rows need not lie on one grid, for each series may have a phase of its own. In a table with a row per channel, those
    of other than the given channels are left out.

    Raises what `write_rows` does, E-TIME-015, -016 and -019 aside.
    """
    settings, digest = intake.settings, inputs.digest()
    parser = RowParser(settings, channels=channels)
    num_rows = park_rows(folder / PARKED_FILE, inputs, intake, parser)
    inputs.refuse_changed(digest)
    sheet = Sheet(path=folder / PARKED_FILE, settings=settings, clock=parser.time_line.clock, files=inputs.files)
    ordered, unsorted = sort_times(sheet, sheet.times())
    duplicates = find_duplicates(sheet, ordered)
    write_canonical(folder / ROWS_FILE, sheet, ordered, duplicates)
    sheet.path.unlink()
    emit(Progress(stage="ingest", done=num_rows, total=num_rows, finished=True))
    others = parser.other_channels
    said = describe_changes(
        settings,
        intake,
        num_rows=num_rows,
        unsorted=unsorted,
        num_merged=duplicates.height,
        sentinels=parser.sentinels,
    )
    if others:
        count = plural(others.total(), "row")
        said.append(f"left out {count} of channels that the model never learned: {_shown(others)}")
    intake.note(merged=duplicates.height, warnings=said)


def _arrange(folder: Path, sheet: Sheet[SeriesSource], zone: str | None) -> dict:
    """Put the parked rows in order, find their grid, and write them; returns what was found."""
    ordered, unsorted = sort_times(sheet, sheet.times())
    duplicates = find_duplicates(sheet, ordered)
    times = ordered.filter(~(FOLLOWS_IN_SERIES & (pl.col("time") == pl.col("time").shift())).fill_null(value=False))
    grid = _find_grid(sheet, times, zone)
    gaps = find_gaps(sheet, times, grid)
    channels = write_canonical(folder / ROWS_FILE, sheet, ordered, duplicates)
    first, last = times.select(first=pl.col("time").min(), last=pl.col("time").max()).row(0)
    return {
        "rows": times.height,
        "series": times["series"].n_unique(),
        "channels": channels,
        "covariates": list(sheet.settings.covariate_columns),
        "grid": grid.to_dict(),
        "first_time": sheet.show(first),
        "last_time": sheet.show(last),
        "unsorted": unsorted.count,
        "unsorted_explained": unsorted.explained,
        "duplicates": duplicates.height,
        "gaps": describe_gaps(sheet, gaps),
        "missing": count_missing(folder / ROWS_FILE),
    }


def park_rows(path: Path, inputs: Inputs, intake: Intake, parser: RowParser) -> int:
    """Write the parsed rows in the order of the source, numbered from 0, and return how many there are.

    Raises InputError (E-DATA-001) if there is none, and what the readers and the parser raise;
    ResourceError (E-DATA-023) beyond `max_rows`.
    """
    schema, num_rows = pa.schema([("row", pa.uint32()), *parser.schema]), 0
    with pq.ParquetWriter(path, schema, compression="lz4") as writer:
        for rows in read_files(inputs.files, intake, parser):
            numbered = rows.with_row_index("row", offset=num_rows)
            num_rows += rows.height
            if num_rows > intake.settings.max_rows:
                raise _too_many_rows(intake.settings.max_rows)
            writer.write_table(numbered.select(schema.names).to_arrow().cast(schema))
            emit(Progress(stage="ingest", done=num_rows))
    if not num_rows:
        raise _nothing_left(intake, parser)
    intake.kept, intake.foreign = num_rows, parser.other_channels.total()
    parser.time_line.settle_order(path)
    return num_rows


def _find_grid(sheet: Sheet[SeriesSource], times: pl.DataFrame, zone: str | None) -> TimeGrid:
    typed = times.with_columns(pl.col("time").cast(DTYPES[sheet.clock]))
    grid = infer_grid(typed, clock=sheet.clock, zone=zone, frequency=sheet.settings.frequency)
    if grid is None:
        raise InputError(
            "E-TIME-019",
            f"no series has two times, {plural(times.height, 'row')} in all, so there is no step to find.",
            fix="check id_columns, or add rows.",
        )
    refuse_irregular(sheet, times, grid)
    return grid


def _describe_gaps(summary: dict) -> list[str]:
    gaps = summary["gaps"]
    if not gaps["number"]:
        return []
    places = [f"{gap['steps']} after {gap['after']}" for gap in gaps["first"][:MAX_SHOWN_GAPS]]
    places += ["..."] if gaps["number"] > MAX_SHOWN_GAPS else []
    return [
        f"{plural(gaps['number'], 'gap')} with {plural(gaps['steps'], 'missing step')} of "
        f"{summary['grid']['frequency']}, which no window spans: {', '.join(places)}"
    ]


def _shown(names: Collection[str]) -> str:
    more = ["..."] if len(names) > MAX_SHOWN_NAMES else []
    return ", ".join([*map(quoted, sorted(names)[:MAX_SHOWN_NAMES]), *more])


def _nothing_left(intake: Intake, parser: RowParser) -> InputError:
    others = parser.other_channels
    counted = {"bad": intake.skipped, **{f"other than where.{name}": count for name, count in intake.filtered.items()}}
    counted[f"of channels that the model never learned ({_shown(others)})"] = others.total()
    parts = [f"{count} {what}" for what, count in counted.items() if count]
    first = f" (first: {intake.examples[0]})" if intake.examples else ""
    fix = "check `where` and on_bad_rows, or the files."
    if parser.known_channels is not None and others:
        fix = f"name the channels as in training: {', '.join(map(quoted, parser.known_channels))}."
    return InputError("E-DATA-001", f"no rows are left{': ' if parts else ''}{', '.join(parts)}{first}.", fix=fix)


def _too_many_rows(max_rows: int) -> ResourceError:
    return ResourceError(
        "E-DATA-023",
        f"the source has more than max_rows = {max_rows} rows.",
        fix="raise max_rows if the source is meant to be that large.",
    )
