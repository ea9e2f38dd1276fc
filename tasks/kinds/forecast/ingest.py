"""Files of any supported kind to one canonical table of series: what stage `ingest` does for time series.

Rows are parsed in batches into a parked file, so values are in memory a batch at a time; times alone are held to put
the rows in order. Only rows that are not yet sorted by series and time, and long tables, are sorted in memory.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tasks.errors import InputError, plural
from tasks.kinds.forecast.summaries import SeriesRowsSummary
from tasks.panel.canonical import PARKED_FILE, describe_others, make_sheet, park_rows, write_canonical
from tasks.panel.cells import RowParser
from tasks.panel.frames import ROWS_FILE, count_missing
from tasks.panel.inferred_grid import infer_grid, spanning
from tasks.panel.ordering import describe_changes, describe_reading, find_duplicates, sort_times
from tasks.panel.policies import (
    Sheet,
    describe_gaps,
    find_gaps,
    refuse_irregular,
)
from tasks.panel.source import SeriesSource
from tasks.panel.time_grid import DTYPES, FOLLOWS_IN_SERIES, TimeGrid
from tasks.progress import Progress, emit
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake, RowCheck

MAX_SHOWN_GAPS = 3


def row_check(settings: SeriesSource) -> RowCheck:
    """What makes checked rows of raw ones."""
    return RowParser(settings.with_preset())


def write_rows(
    folder: Path, *, settings: SeriesSource, inputs: Inputs, digest: str, intake: Intake[SeriesSource] | None = None
) -> SeriesRowsSummary:
    """Read every input into `rows.parquet`, sorted by series and time; returns counts, the grid, gaps and warnings.

    Raises InputError: E-DATA-001, E-TIME-001 to -019, E-SER-001 to -005, and what the readers raise;
    ResourceError (E-DATA-023) beyond `max_rows`; IntegrityError (E-INT-003) if an input changed meanwhile.
    """
    settings = settings.with_preset()
    intake, parser = intake or Intake(settings), RowParser(settings)
    num_rows = park_rows(folder / PARKED_FILE, inputs, intake, parser)
    inputs.refuse_changed(digest)
    sheet = make_sheet(folder, inputs, parser)
    summary = SeriesRowsSummary(
        **_arrange(folder, sheet, parser.time_line.zone),
        sentinels=dict(parser.sentinels),
        **intake.account(inputs, digest),
    )
    sheet.path.unlink()
    emit(Progress(stage="ingest", done=num_rows, total=num_rows, finished=True))
    said = describe_reading(summary, settings, intake, num_rows=num_rows)
    said += [*_describe_gaps(summary), *parser.time_line.warnings()]
    intake.note(merged=summary.duplicates, warnings=said)
    return summary.model_copy(update={"warnings": intake.warnings})


def write_history(folder: Path, intake: Intake[SeriesSource], inputs: Inputs, *, channels: Sequence[str]) -> None:
    """Read what continues from its own end into `rows.parquet`, as `write_rows` does; the intake is told what was done.

    Rows need not lie on one grid, for each series may have a phase of its own. In a table with a row per channel, those
    of other than the given channels are left out.

    Raises what `write_rows` does, E-TIME-015, -016 and -019 aside.
    """
    settings, digest = intake.settings, inputs.digest()
    parser = RowParser(settings, channels=channels)
    num_rows = park_rows(folder / PARKED_FILE, inputs, intake, parser)
    inputs.refuse_changed(digest)
    sheet = make_sheet(folder, inputs, parser)
    ordered, unsorted = sort_times(sheet, sheet.times())
    duplicates = find_duplicates(sheet, ordered)
    write_canonical(folder / ROWS_FILE, sheet, ordered, duplicates)
    sheet.path.unlink()
    emit(Progress(stage="ingest", done=num_rows, total=num_rows, finished=True))
    said = describe_changes(
        settings,
        intake,
        num_rows=num_rows,
        unsorted=unsorted,
        num_merged=duplicates.height,
        sentinels=parser.sentinels,
    )
    intake.note(merged=duplicates.height, warnings=[*said, *describe_others(parser)])


def _arrange(folder: Path, sheet: Sheet[SeriesSource], zone: str | None) -> dict[str, Any]:
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
        "grid": grid,
        "first_time": grid.show(first),
        "last_time": grid.show(last),
        "unsorted": unsorted.count,
        "unsorted_explained": unsorted.explained,
        "duplicates": duplicates.height,
        "gaps": describe_gaps(gaps, grid),
        "missing": count_missing(pl.scan_parquet(folder / ROWS_FILE)),
    }


def _find_grid(sheet: Sheet, times: pl.DataFrame, zone: str | None) -> TimeGrid:
    typed = times.with_columns(pl.col("time").cast(DTYPES[sheet.clock]))
    grid = infer_grid(typed, clock=sheet.clock, zone=zone, frequency=sheet.settings.frequency)
    if grid is None:
        raise InputError(
            "E-TIME-019",
            f"no series has two times ({plural(times.height, 'row')} in all), so the step is unknown.",
            fix="check id_columns, or add rows.",
        )
    refuse_irregular(sheet, times, grid)
    return spanning(grid, typed["time"]) if sheet.settings.gaps == "span" else grid


def _describe_gaps(summary: SeriesRowsSummary) -> list[str]:
    gaps = summary.gaps
    if not gaps["number"]:
        return []
    places = [f"{gap['steps']} after {gap['after']}" for gap in gaps["first"][:MAX_SHOWN_GAPS]]
    places += ["..."] if gaps["number"] > MAX_SHOWN_GAPS else []
    return [
        f"{plural(gaps['number'], 'gap')} with {plural(gaps['steps'], 'missing step')} of "
        f"{summary.grid.frequency}, which {'windows span' if summary.grid.spans else 'no window spans'}: "
        f"{', '.join(places)}"
    ]
