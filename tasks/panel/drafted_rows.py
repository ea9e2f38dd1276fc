"""Tables with a whole series in each row, as competitions hand them out."""

import polars as pl

from tasks.discovery.columns import Column
from tasks.discovery.draft import Question, Setting
from tasks.discovery.seen import Seen
from tasks.discovery.times import read_steps, read_times
from tasks.panel.drafting import Series
from tasks.panel.inferred_grid import infer_grid

MANY_COLUMNS = 12
MAX_LISTED = 1024


def see_series_in_rows(seen: Seen) -> Series | None:
    """A table with a series per row: an id, then numbers in columns that count or are times."""
    columns = list(seen.columns.values())
    numbers = [one for one in columns if one.is_number or one.filled.is_empty()]
    others = [one for one in columns if one not in numbers]
    if len(numbers) < MANY_COLUMNS or not others or len(numbers) < 3 * len(others):
        return None
    ids = [one for one in others if one.distinct == one.cells.len()]
    times = pl.Series("header", [one.name for one in numbers])
    header = Column("header", times)
    stems = {name.rstrip("0123456789") for name in times}
    in_header = (
        None
        if len(stems) == 1 and stems != {""}
        else (read_times(header) or [one for one in [read_steps(header)] if one])
    )
    if not ids or (in_header is not None and not in_header) or any(read_times(one) for one in others):
        return None
    reading = in_header[0] if in_header else None
    lengths = pl.DataFrame([one.numbers.is_not_null() for one in numbers]).sum_horizontal()
    rows = pl.DataFrame({"series": ids[0].cells, "len": lengths}).select(
        pl.col("series").repeat_by("len").explode(), time=pl.int_ranges("len").explode()
    )
    findings: list[Setting | Question] = [
        *seen.findings,
        Setting("source.layout", "series_per_row", f"each row is a series of up to {len(numbers)} numbers"),
        Setting("source.id_columns", [ids[0].name]),
    ]
    if reading is None:
        findings.append(Setting("source.time_unit", "order", "the header names no times"))
    else:
        findings.append(Setting("source.time_columns", [], "times are in the header"))
        if reading.format:
            findings.append(Setting("source.time_format", reading.format))
        if reading.is_steps:
            findings.append(Setting("source.time_unit", "step"))
    if len(others) > 1:
        names = [one.name for one in numbers]
        findings.append(Setting("source.value_columns", names[:MAX_LISTED], "the columns of numbers"))
    return Series(
        reading=reading,
        ids=(ids[0],),
        values=tuple(numbers),
        layout="series_per_row",
        rows=rows,
        findings=tuple(findings),
        grid=infer_grid(rows.with_columns(pl.col("time").cast(pl.Int64)), clock="step", zone=None),
    )
