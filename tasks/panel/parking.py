"""Parsed rows in the order of their source, parked in a file until their times tell how they are to lie."""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import InputError, ResourceError, plural, quoted
from tasks.panel.cells import RowParser
from tasks.progress import Progress, emit
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake
from tasks.sources.readers import read_files

PARKED_FILE = "parked.parquet"
MAX_SHOWN_NAMES = 5


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


def describe_others(parser: RowParser) -> list[str]:
    """Say which channels were left out, if any were."""
    others = parser.other_channels
    count = plural(others.total(), "row")
    said = f"left out {count} of channels that the model never learned: {_show_names(others)}"
    return [said] if others else []


def _show_names(names: Collection[str]) -> str:
    """The first of some names."""
    more = ["..."] if len(names) > MAX_SHOWN_NAMES else []
    return ", ".join([*map(quoted, sorted(names)[:MAX_SHOWN_NAMES]), *more])


def _nothing_left(intake: Intake, parser: RowParser) -> InputError:
    others = parser.other_channels
    counted = {"bad": intake.skipped, **{f"other than where.{name}": count for name, count in intake.filtered.items()}}
    counted[f"of channels that the model never learned ({_show_names(others)})"] = others.total()
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
