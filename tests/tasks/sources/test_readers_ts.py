"""Files of the UEA and UCR archives: every step becomes a row, every fault is named by file and line."""

from pathlib import Path

import polars as pl
import pytest

from tasks.errors import InputError
from tasks.kinds.classify_series.source import SequenceSource
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import Intake
from tasks.sources.readers import read_files

HEADER = "# speakers\n@problemName Voices\n@timeStamps false\n@classLabel true a b\n@data\n"


def read(path: Path, content: str, **settings: object) -> pl.DataFrame:
    path.write_text(content)
    columns = {"id_column": "sequence", "time_column": "step", "time_unit": "step", "split_column": "split"}
    source = SequenceSource(path=str(path), value_columns=("channel_1", "channel_2"), **columns, **settings)
    frames = list(read_files(find_inputs(source).files, Intake(source), lambda frame, _: frame))
    return pl.concat(frames)


def test_each_step_is_a_row_with_the_place_of_its_sequence(tmp_path: Path):
    rows = read(tmp_path / "Voices_TRAIN.ts", f"{HEADER}1,2,3:4,?,6:a\n\n 7:8 : b \n")

    assert rows.drop("file", "source").rows() == [
        (6, "Voices_TRAIN.ts:6", "0", "1", "4", "a", "train"),
        (6, "Voices_TRAIN.ts:6", "1", "2", None, "a", "train"),
        (6, "Voices_TRAIN.ts:6", "2", "3", "6", "a", "train"),
        (8, "Voices_TRAIN.ts:8", "0", "7", "8 ", "b", "train"),
    ]


@pytest.mark.parametrize(("name", "split"), [("Voices_TEST.ts", "test"), ("voices.ts", None)])
def test_the_name_of_a_file_tells_its_split(tmp_path: Path, name: str, split: str | None):
    assert read(tmp_path / name, f"{HEADER}1:2:a\n")["split"].to_list() == [split]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (
            "1,2:3,4:a\n",
            'E-TS-001 {file}:1: got "1,2:3,4:a" before @data, expected a header of lines such as @classLabel true a '
            "b.\n"
            "Fix: name the format of the file with `format`, or complete its header.",
        ),
        (
            "@timeStamps true\n@data\n",
            'E-TS-002 {file}:1: has a time for each step ("@timeStamps true").\n'
            "Fix: write the sequences as a table with a row per step instead.",
        ),
        (
            "@targetLabel true\n@data\n",
            'E-TS-002 {file}:1: has numbers to predict in place of labels ("@targetLabel true").\n'
            "Fix: write the sequences as a table with a row per step instead.",
        ),
        (
            "@classLabel false\n@data\n",
            'E-TS-002 {file}:1: has no labels ("@classLabel false").\n'
            "Fix: write the sequences as a table with a row per step instead.",
        ),
        (
            f"{HEADER}1,2:3,4:a\n1,2:3:a\n",
            "E-TS-003 {file}:7: got channels of 1 to 2 steps, expected one length.\n"
            "Fix: give every channel as many steps, `?` for a missing number, and end the line with the label.",
        ),
        (
            f"{HEADER}1,2:3,4:a\n1,2:a\n",
            "E-TS-003 {file}:7: got 1 channel before the label, expected 2.\n"
            "Fix: give every channel as many steps, `?` for a missing number, and end the line with the label.",
        ),
        (
            f"{HEADER}a\n",
            "E-TS-003 {file}:6: got 0 channels before the label, expected 1.\n"
            "Fix: give every channel as many steps, `?` for a missing number, and end the line with the label.",
        ),
        (HEADER, "E-SRC-004 {file}: has no line after @data.\nFix: remove the file, or fill it."),
        (
            f"{HEADER}1:a\n",
            'E-SRC-005 {file}:6 column "channel_2": is missing, found "sequence", "step", "label", "split", '
            '"channel_1".\n'
            "Fix: name the column in the recipe or in the file.",
        ),
    ],
)
def test_a_fault_is_named_by_file_and_line(tmp_path: Path, content: str, error: str):
    path = tmp_path / "voices.ts"

    with pytest.raises(InputError) as caught:
        read(path, content)

    assert str(caught.value) == error.replace("{file}", str(path))


def test_broken_lines_are_left_out_on_request(tmp_path: Path):
    rows = read(tmp_path / "voices.ts", f"{HEADER}1:2:a\n1,2:3:a\n5:6:b\n", on_bad_rows="skip")

    assert rows["line"].to_list() == [6, 8]
