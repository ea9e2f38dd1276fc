"""JSON Lines: what is read, and the exact line of every fault."""

import json
import random
from pathlib import Path

import polars as pl
import pytest

from tasks.errors import InputError
from tasks.kinds.classify.ingest import check_rows
from tasks.kinds.classify.source import SourceSettings
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import Intake
from tasks.sources.readers import read_files

GOOD = '{"text": "hello", "label": "a"}'


def read(path: Path, **settings) -> tuple[pl.DataFrame, Intake]:
    source = SourceSettings(path=str(path), **settings)
    intake = Intake(source)
    return pl.concat(read_files(find_inputs(source).files, intake, check_rows)), intake


def error_of(path: Path, *lines: str, **settings) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read(path, **settings)
    return str(caught.value).partition("\nLine ")[0]  # which test_refused_lines covers


def test_keys_in_any_order_and_integer_labels_are_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"label": 1, "text": "caf\\u00e9 \\ud83d\\ude00", "other": [1]}\n{"text": "x", "label": 0}')

    assert read(path)[0].select("text", "label").rows() == [("café 😀", "1"), ("x", "0")]


def test_blank_lines_are_skipped_and_counted(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(f"\n{GOOD}\n  \r\n{GOOD}\r\n")

    rows, intake = read(path)

    assert (rows.height, intake.blank_lines) == (2, 2)


PLACED_FAULTS = {
    '{"text": "x", "label": ': (
        "E-JSON-001 {place}: is not valid JSON (Expecting value at character 25).\nFix: write one JSON object per line."
    ),
    "[1, 2]": 'E-JSON-002 {place}: got an array ("[1, 2]"), expected an object.\nFix: write one JSON object per line.',
    '"text"': ('E-JSON-002 {place}: got a string ("text"), expected an object.\nFix: write one JSON object per line.'),
    '{"text": 5, "label": "a"}': (
        'E-JSON-003 {place} column "text": got an integer ("5"), expected a string.\nFix: write a string.'
    ),
    '{"text": "x", "label": ["a"]}': (
        'E-JSON-003 {place} column "label": got an array ("["a"]"), expected a string or an integer.\n'
        "Fix: write a string or an integer."
    ),
    '{"text": "x", "label": 1}': (
        'E-JSON-003 {place} column "label": got an integer ("1"), expected a string as in the lines before.\n'
        "Fix: write all labels as strings, or all as integers."
    ),
    '{"text": "x", "label": "a", "label": "b"}': (
        'E-JSON-004 {place}: has the key "label" twice.\nFix: keep one of the two.'
    ),
    '{"text": ' + "[" * 100_000 + "]" * 100_000 + "}": (
        "E-JSON-005 {place}: is nested too deeply.\nFix: flatten the object."
    ),
    '{"text": "half \\ud83d pair", "label": "a"}': (
        "E-JSON-006 {place}: contains half a surrogate pair (\\ud83d).\nFix: write the other half, or leave it out."
    ),
    '{"text": "x", "label": NaN}': (
        "E-JSON-007 {place}: got NaN, which JSON does not have.\nFix: write null, or leave the line out."
    ),
    '{"text": "x", "label": true}': (
        'E-JSON-003 {place} column "label": got a boolean ("true"), expected a string as in the lines before.\n'
        "Fix: write all labels as strings, or all as integers."
    ),
    '{"text": "x", "label": 1e999}': (
        'E-JSON-003 {place} column "label": got a float ("Infinity"), expected a string as in the lines before.\n'
        "Fix: write all labels as strings, or all as integers."
    ),
    '{"text": "x", "label": null}': (
        'E-DATA-021 {place} column "label": got nothing, expected a label.\n'
        'Fix: fill the label in, drop the row, or put it in the split "unlabelled".'
    ),
    '{"text": null, "label": "a"}': (
        'E-DATA-020 {place} column "text": got null, expected a text.\nFix: fill the text in, or drop the row.'
    ),
    '{"txt": "x", "label": "a"}': (
        'E-DATA-020 {place} column "text": got null, expected a text.\nFix: fill the text in, or drop the row.'
    ),
    '{"text": "nul \\u0000", "label": "a"}': (
        'E-ENC-004 {place} column "text": contains a NUL character.\nFix: remove it.'
    ),
}


@pytest.mark.parametrize("line", PLACED_FAULTS, ids=lambda line: line[:30])
def test_a_fault_is_reported_on_its_line(tmp_path, line):
    rng = random.Random(line)
    path = tmp_path / "rows.jsonl"
    for _ in range(5):
        lines = [GOOD] * 50
        position = rng.randrange(1, 50)
        lines[position] = line

        assert error_of(path, *lines) == PLACED_FAULTS[line].replace("{place}", f"{path}:{position + 1}")


def test_a_label_that_becomes_a_string_is_refused_on_the_first_such_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    lines = ['{"text": "x", "label": 1}', '{"text": "x", "label": 2}', '{"text": "x", "label": "x"}', GOOD]

    assert error_of(path, *lines).splitlines()[0] == (
        f'E-JSON-003 {path}:3 column "label": got a string ("x"), expected an integer as in the lines before.'
    )


def test_lines_of_a_pretty_printed_array_are_refused_on_the_first(tmp_path):
    path = tmp_path / "rows.jsonl"

    text = error_of(path, *json.dumps([{"text": "x", "label": "a"}], indent=1).splitlines())

    assert text.startswith(f"E-JSON-001 {path}:1: is not valid JSON (Expecting value at character ")


def test_skipping_leaves_out_bad_lines_only(tmp_path):
    path = tmp_path / "rows.jsonl"
    bad = list(PLACED_FAULTS)
    path.write_text("".join(f"{GOOD}\n{line}\n" for line in bad))

    rows, intake = read(path, on_bad_rows="skip")

    assert rows.height == intake.skipped == len(bad)
    assert len(intake.examples) == 5


def test_where_compares_values_of_any_type_by_their_json(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"text": "one", "label": "a", "ok": true, "n": 1}\n'
        '{"text": "two", "label": "a", "ok": false, "n": 1}\n'
        '{"text": "three", "label": "a", "ok": true, "n": null}\n'
    )

    rows, intake = read(path, where={"ok": "true", "n": "1"})

    assert rows["text"].to_list() == ["one"]
    assert intake.filtered == {"ok": 1, "n": 1}
