"""Tables with a whole series in each row, as competitions hand them out."""

import polars as pl

from tasks.discovery.columns import Column
from tasks.discovery.draft import Setting
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
    ids = next((one for one in others if one.distinct == one.cells.len()), None)
    is_wide = len(numbers) >= max(MANY_COLUMNS, 3 * len(others))
    if not is_wide or ids is None or any(read_times(one) for one in others):
        return None
    header = Column("header", pl.Series("header", [one.name for one in numbers]))
    readings = [*read_times(header), *filter(None, [read_steps(header)])]
    reading = next(iter(readings), None)
    is_numbered = len({one.name.rstrip("0123456789") for one in numbers} - {""}) == 1
    if reading is None and not is_numbered:
        return None
    lengths = pl.DataFrame([one.numbers.is_not_null() for one in numbers]).sum_horizontal()
    rows = pl.DataFrame({"series": ids.cells, "len": lengths}).select(
        pl.col("series").repeat_by("len").explode(), time=pl.int_ranges("len").explode()
    )
    why = f"each row is a series of up to {len(numbers)} numbers"
    findings = [*seen.findings, Setting("source.layout", "series_per_row", why)]
    findings.append(Setting("source.id_columns", [ids.name]))
    if reading is None:
        findings.append(Setting("source.time_unit", "order", "the header names no times"))
    else:
        findings.append(Setting("source.time_columns", [], "times are in the header"))
        findings += [Setting("source.time_format", reading.format)] if reading.format else []
        findings += [Setting("source.time_unit", "step")] if reading.is_steps else []
    if len(others) > 1:
        findings.append(Setting("source.value_columns", list(header.cells)[:MAX_LISTED], "the columns of numbers"))
    return Series(
        reading=reading,
        ids=(ids,),
        values=tuple(numbers),
        layout="series_per_row",
        rows=rows,
        findings=tuple(findings),
        grid=infer_grid(rows.with_columns(pl.col("time").cast(pl.Int64)), clock="step", zone=None),
    )
