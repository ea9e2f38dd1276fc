"""The archive of the Numenta Anomaly Benchmark to raw rows, each with whether it lies in a window with an anomaly.

Its tables have the columns `timestamp` and `value`; `labels/combined_windows.json` names the times with which windows
begin and end. To these rows come `file`, the table's name, and `anomaly`, 1 or 0.
Lavin & Ahmad (2015), arXiv:1510.03336; https://github.com/numenta/NAB.
"""

import json
import re
from collections.abc import Iterator, Sequence

import polars as pl

from tasks.errors import InputError, quoted
from tasks.sources.archives import read_members
from tasks.sources.decompression import parsing
from tasks.sources.input_files import InputFile
from tasks.sources.intake import Intake, RawRow, check_columns, in_batches

WINDOWS = "labels/combined_windows.json"
# Archives differ in the folder at their top.
MEMBER = re.compile(r"(?:[^/]+/)?(?:data/(?P<table>.+\.csv)|(?P<windows>labels/combined_windows\.json))")
SECONDS = slice(19)  # labels write fractions of seconds, tables do not


@in_batches
def read_nab(file: InputFile, intake: Intake) -> Iterator[RawRow]:
    """Yield the wanted columns in batches, a row per row of each table that has windows, even if none.

    Raises InputError: E-NAB-001, E-NAB-002, E-SRC-005, E-SRC-010; IntegrityError (E-ARC) for a damaged archive.
    """
    wanted = list(intake.settings.wanted_columns().values())
    tables, windows = _read_archive(file, intake)
    for name, limits in windows.items():
        place = f"{file.path}!{name}"
        if name not in tables:
            raise _mismatched(file, f"names windows of {quoted(name)}, which is not among its tables")
        with parsing(place, code="E-ARC-006", what="is not a CSV table"):
            table = pl.read_csv(tables[name], infer_schema=False)
        check_columns(wanted, [*table.columns, "file", "anomaly"], file=file)
        labels = mark_windows(table["timestamp"].to_list(), limits, place)
        rows = table.with_columns(pl.Series("anomaly", labels), file=pl.lit(name)).select(wanted).iter_rows()
        yield from (RawRow(place, line, name, cells) for line, cells in enumerate(rows, start=2))


def _read_archive(file: InputFile, intake: Intake) -> tuple[dict[str, bytes], dict[str, list[list[str]]]]:
    """The tables by name, and the limits of each one's windows."""
    tables, windows = {}, None
    for member, data in read_members(file, intake):
        found = MEMBER.fullmatch(member)
        if found and found["table"]:
            tables[found["table"]] = data
        elif found:
            with parsing(f"{file.path}!{member}", code="E-ARC-006", what="is not JSON"):
                windows = json.loads(data)
    if windows is None:
        raise InputError(
            "E-NAB-001",
            f"holds no {WINDOWS}.",
            fix="pack the benchmark's folders data and labels: https://github.com/numenta/NAB.",
            file=file.path,
        )
    return tables, windows


def mark_windows(times: Sequence[str], limits: Sequence[Sequence[str]], place: str) -> list[str]:
    """Mark the rows from the first with a window's first time to the first with its last one: 1, others 0.

    Raises InputError (E-NAB-002) for a time that no row has.
    """
    row_of_time = {time: row for row, time in reversed(list(enumerate(times)))}
    labels = ["0"] * len(times)
    for window in limits:
        first, last = (row_of_time.get(limit[SECONDS]) for limit in window)
        if first is None or last is None:
            raise _mismatched(place, f"has no row at {window[0]} or {window[1]}, where a window begins or ends")
        labels[first : last + 1] = ["1"] * (last + 1 - first)
    return labels


def _mismatched(place: InputFile | str, problem: str) -> InputError:
    file = place.path if isinstance(place, InputFile) else place
    return InputError("E-NAB-002", f"{problem}.", fix="take tables and windows of the same release.", file=file)
