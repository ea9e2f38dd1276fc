"""Every row of a file is in the output once, or among the errors with its reason."""

import json
import shutil

import polars as pl
import pytest

from tasks.errors import InputError
from tasks.kinds.classify.classifier import TextClassifier
from tasks.kinds.classify.predict import predict_file
from tasks.promotion import named_models

TEXTS = ["a great and moving film", "dull, boring and flat", "so so"]


@pytest.fixture(scope="module")
def own_home(registered_home, tmp_path_factory):
    """A project folder of this module's own: predictions record what they saw."""
    return shutil.copytree(registered_home, tmp_path_factory.mktemp("predicting") / "home")


@pytest.fixture(autouse=True)
def home(own_home, monkeypatch):
    monkeypatch.setenv("RNNFLOW_HOME", str(own_home))
    return own_home


def expected_probabilities():
    classifier = TextClassifier.load(named_models.resolve_model("reviews").parts)
    return classifier.predict_probabilities(TEXTS)[:, 1].tolist()


def write_input(path):
    frame = pl.DataFrame({"id": [7, 8, 9], "text": TEXTS})
    writers = {
        ".csv": frame.write_csv,
        ".tsv": lambda file: frame.write_csv(file, separator="\t"),
        ".jsonl": frame.write_ndjson,
        ".parquet": frame.write_parquet,
        ".txt": lambda file: file.write_text("\n".join(TEXTS)),
    }
    writers[path.suffix](path)
    return path


def read_output(path):
    readers = {".csv": pl.read_csv, ".jsonl": pl.read_ndjson, ".parquet": pl.read_parquet}
    return readers[path.suffix](path)


@pytest.mark.parametrize(
    ("suffix", "rows"),
    [(".csv", [2, 3, 4]), (".tsv", [2, 3, 4]), (".jsonl", [1, 2, 3]), (".parquet", [1, 2, 3]), (".txt", [1, 2, 3])],
)
def test_every_input_format_is_answered_with_its_line_numbers(tmp_path, suffix, rows):
    source = write_input(tmp_path / f"in{suffix}")

    result = predict_file("reviews", source, tmp_path / "out.parquet")

    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame.columns == ["row", "label", "probability_neg", "probability_pos", "model"]
    assert frame["row"].to_list() == rows
    assert frame["probability_pos"].to_list() == pytest.approx(expected_probabilities(), abs=1e-6)
    assert frame["model"].to_list() == ["reviews/1"] * 3
    assert (result.rows, result.bad, result.errors, result.model) == (3, 0, None, "reviews/1")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, "out.parquet"])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_output_format_holds_the_same(tmp_path, suffix):
    predict_file("reviews/1", write_input(tmp_path / "in.csv"), tmp_path / f"out{suffix}")

    frame = read_output(tmp_path / f"out{suffix}")
    assert frame["row"].to_list() == [2, 3, 4]
    assert frame["probability_pos"].to_list() == pytest.approx(expected_probabilities(), abs=1e-6)


def test_bad_rows_go_aside_with_their_reasons(tmp_path):
    lines = [
        json.dumps({"text": "good"}),
        json.dumps({"text": None}),
        json.dumps({"text": 3}),
        json.dumps({"other": "x"}),
        "{broken",
        json.dumps({"text": ""}),
        '{"text": "bad \\ud800"}',
    ]
    (tmp_path / "in.jsonl").write_bytes("\n".join(lines).encode() + b'\n{"text": "\xff"}\n')

    result = predict_file("reviews", tmp_path / "in.jsonl", tmp_path / "out.csv")

    assert read_output(tmp_path / "out.csv")["row"].to_list() == [1, 6]
    faults = [json.loads(line) for line in (tmp_path / "out.csv.errors.jsonl").read_text().splitlines()]
    assert (result.rows, result.bad, result.errors) == (8, 6, tmp_path / "out.csv.errors.jsonl")
    assert [fault["row"] for fault in faults] == [2, 3, 4, 5, 7, 8]
    assert faults[0] == {"row": 2, "code": "E-TEXT-001", "reason": "got null, expected a text"}
    assert [fault["code"] for fault in faults[1:]][-1] == "E-ENC-001"


def test_a_file_of_bad_rows_has_an_empty_answer(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": null}\n')

    result = predict_file("reviews", tmp_path / "in.jsonl", tmp_path / "out.parquet")

    assert pl.read_parquet(tmp_path / "out.parquet").shape == (0, 5)
    assert result.bad == 1


def test_an_empty_line_of_a_text_file_is_a_document(tmp_path):
    (tmp_path / "in.txt").write_text("good\n\nbad\n")

    predict_file("reviews", tmp_path / "in.txt", tmp_path / "out.jsonl")

    assert read_output(tmp_path / "out.jsonl")["row"].to_list() == [1, 2, 3]


def test_more_rows_than_a_chunk_come_out_once_and_in_order(tmp_path):
    (tmp_path / "in.txt").write_text("good film\n" * 20_001)

    result = predict_file("reviews", tmp_path / "in.txt", tmp_path / "out.csv")

    assert result.rows == 20_001
    assert read_output(tmp_path / "out.csv")["row"].to_list() == list(range(1, 20_002))


def test_an_existing_output_is_kept_unless_asked(tmp_path):
    source, output = write_input(tmp_path / "in.csv"), tmp_path / "out.csv"
    output.write_text("precious")

    with pytest.raises(InputError) as caught:
        predict_file("reviews", source, output)

    assert str(caught.value) == (f"E-OUT-001 {output}: already exists.\nFix: name another output, or use --overwrite.")
    assert output.read_text() == "precious"
    predict_file("reviews", source, output, overwrite=True)
    assert read_output(output).height == 3


def test_the_input_is_never_overwritten(tmp_path):
    source = write_input(tmp_path / "in.csv")

    with pytest.raises(InputError, match="E-OUT-001"):
        predict_file("reviews", source, source, overwrite=True)

    assert pl.read_csv(source).height == 3


def test_a_failure_leaves_the_old_output_and_nothing_else(tmp_path):
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("id,texts\n1,good\n")
    output.write_text("precious")

    with pytest.raises(InputError, match="E-SRC-005"):
        predict_file("reviews", source, output, overwrite=True)

    assert output.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_another_column_may_hold_the_texts(tmp_path):
    (tmp_path / "in.csv").write_text("review\ngood\n")

    assert predict_file("reviews", tmp_path / "in.csv", tmp_path / "out.csv", text_column="review").rows == 1


@pytest.mark.parametrize(
    ("source", "output", "code"),
    [
        ("absent.csv", "out.csv", "E-SRC-001"),
        ("in.xlsx", "out.csv", "E-SRC-003"),
        ("in.csv", "out.xlsx", "E-OUT-002"),
        ("in.csv", "absent/out.csv", "E-OUT-002"),
    ],
)
def test_files_that_cannot_be_read_or_written_are_named(tmp_path, source, output, code):
    for name in ("in.csv", "in.xlsx"):
        (tmp_path / name).write_text("text\ngood\n")

    with pytest.raises(InputError, match=code):
        predict_file("reviews", tmp_path / source, tmp_path / output)
