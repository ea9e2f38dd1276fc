"""Labelled sequences in the `.ts` format of the UEA and UCR archives to raw rows, one for each step.

A line is a sequence: `1.2,1.3:0.5,0.4:label`, the steps of each channel, then the label. Its table has the columns
`sequence` (name of the file and line), `step` (from 0), `label`, `split` (after a file's name) and `channel_1` and on.
Format: https://www.aeon-toolkit.org/en/stable/api_reference/file_specifications/ts.html
"""

import posixpath
from collections.abc import Iterator

from tasks.errors import InputError, plural, quoted
from tasks.sources.decoding import Lines, open_text
from tasks.sources.input_files import InputFile
from tasks.sources.intake import Intake, RawRow, check_columns, in_batches

MISSING = "?"
REFUSED = {
    "@timestamps": ("true", "has a time for each step"),
    "@classlabel": ("false", "has no labels"),
    "@targetlabel": ("true", "has numbers to predict in place of labels"),
}


@in_batches
def read_ts(file: InputFile, intake: Intake) -> Iterator[RawRow]:
    """Yield the wanted columns in batches, a row per step; a row's line is that of its sequence.

    Raises InputError: E-TS-001 to -003, E-DATA-008, E-ENC, E-SRC-004, -005, -010.
    """
    wanted = list(intake.settings.wanted_columns().values())
    fixed = {"split": _split_of(file.name)}
    num_channels, num_refused = 0, intake.skipped
    with open_text(file, intake) as stream:
        for number, line in _data_lines(Lines(stream, file, intake), file, intake):
            *channels, label = [cell.split(",") for cell in line.split(":")]
            num_channels = num_channels or len(channels)
            fault = _fault_of(channels, num_channels)
            if fault:
                fix = "give every channel as many steps, `?` for a missing number, and end the line with the label."
                intake.reject(InputError("E-TS-003", f"{fault}.", fix=fix, file=file.path, row=number))
                continue
            names = [f"channel_{index}" for index in range(1, num_channels + 1)]
            check_columns(wanted, ["sequence", "step", "label", "split", *names], file=file, line=number)
            fixed |= {"sequence": f"{file.name}:{number}", "label": ",".join(label).strip()}
            for step, cells in enumerate(zip(*channels, strict=True)):
                values = (None if cell.strip() == MISSING else cell for cell in cells)
                row = {**fixed, "step": str(step), **dict(zip(names, values, strict=True))}
                yield RawRow(str(file.path), number, file.name, [row[column] for column in wanted])
    if not num_channels and intake.skipped == num_refused:
        raise InputError("E-SRC-004", "has no line after @data.", fix="remove the file, or fill it.", file=file.path)


def _data_lines(lines: Lines, file: InputFile, intake: Intake) -> Iterator[tuple[int, str]]:
    """Read the header, then yield each line of data with its number."""
    in_data = False
    for line in lines:
        fault, text = lines.take_fault(), line.strip()
        if fault:
            intake.reject(fault)
        elif in_data and text:
            yield lines.number, text
        elif text.startswith("@"):
            _refuse_unread(text, file, lines.number)
            in_data = text.lower() == "@data"
        elif text and not text.startswith("#"):
            raise InputError(
                "E-TS-001",
                f"got {quoted(text)} before @data, expected a header of lines such as @classLabel true a b.",
                fix="name the format of the file with `format`, or complete its header.",
                file=file.path,
                row=lines.number,
            )


def _refuse_unread(text: str, file: InputFile, number: int) -> None:
    name, _, value = text.lower().partition(" ")
    refused, meaning = REFUSED.get(name, ("", ""))
    if refused and value.strip().startswith(refused):
        raise InputError(
            "E-TS-002",
            f"{meaning} ({quoted(text)}).",
            fix="write the sequences as a table with a row per step instead.",
            file=file.path,
            row=number,
        )


def _fault_of(channels: list[list[str]], num_channels: int) -> str:
    lengths = {len(channel) for channel in channels}
    if len(channels) != num_channels or not channels:
        return f"got {plural(len(channels), 'channel')} before the label, expected {max(1, num_channels)}"
    return f"got channels of {min(lengths)} to {max(lengths)} steps, expected one length" if len(lengths) > 1 else ""


def _split_of(name: str) -> str | None:
    """The official split that a file's name ends in."""
    stem = posixpath.splitext(name.lower())[0]
    return next((split for split in ("train", "test") if stem.endswith(f"_{split}")), None)
