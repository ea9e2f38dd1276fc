"""Where every row of a file is refused, what is wrong with the first of them is said, and not that there are none."""

from pathlib import Path

import pytest

from tasks.errors import InputError
from tasks.kinds.classify.ingest import check_rows
from tasks.kinds.classify.source import SourceSettings
from tasks.kinds.classify_series.source import SequenceSource
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import Intake
from tasks.sources.readers import read_files

GBK = "很好".encode("gbk")
HEADER = b"@timeStamps false\n@classLabel true a b\n@data\n"
SEQUENCES = {"id_column": "sequence", "time_column": "step", "time_unit": "step", "value_columns": ("channel_1",)}


@pytest.mark.parametrize(
    ("name", "content", "refused"),
    [
        ("a.csv", b"text,label\n" + GBK + b",a\n" + GBK + b",b\n", ["E-ENC-001", "E-ENC-001"]),
        ("a.tsv", b"text\tlabel\none\ntwo\n", ["E-CSV-002", "E-CSV-002"]),
        ("a.jsonl", b'{"text": "' + GBK + b'"}\n[]\n', ["E-ENC-001", "E-JSON-002"]),
        ("a.ts", HEADER + GBK + b":a\n", ["E-ENC-001"]),
    ],
)
def test_what_is_wrong_with_each_row_is_told(tmp_path: Path, name: str, content: bytes, refused: list[str]):
    (tmp_path / name).write_bytes(content)
    source, columns = (SequenceSource, SEQUENCES) if name == "a.ts" else (SourceSettings, {})
    settings = source(path=str(tmp_path / name), on_bad_rows="skip", **columns)
    intake = Intake(settings)

    frames = list(read_files(find_inputs(settings).files, intake, lambda frame, _: frame))

    assert sum(frame.height for frame in frames) == 0
    assert [example.partition(" ")[0] for example in intake.examples] == refused


def test_a_header_that_cannot_be_read_is_told_and_the_line_after_it_is_not_taken_for_it(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes("文本,text,label\n一,good,a\n".encode("gbk"))
    settings = SourceSettings(path=str(tmp_path / "a.csv"))

    with pytest.raises(InputError, match=r"E-ENC-001 .*a.csv:1: got bytes"):
        list(read_files(find_inputs(settings).files, Intake(settings, refused=[]), check_rows))


def test_a_header_alone_has_no_rows(tmp_path: Path):
    (tmp_path / "a.csv").write_text("text,label\n")
    settings = SourceSettings(path=str(tmp_path / "a.csv"))

    with pytest.raises(InputError, match=r"E-SRC-004 .* has a header and no rows"):
        list(read_files(find_inputs(settings).files, Intake(settings), check_rows))
