"""A table of numbers is answered as far as it can be; what cannot be answered is named, and every row is counted."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from flows.commands import launch
from flows.commands.cli import main
from tasks.errors import InputError
from tasks.kinds.classify_series.ingest import read_sequences
from tasks.kinds.classify_series.source import UnlabelledSource
from tasks.panel.refusals import Refusal
from tasks.prediction.tables_of_numbers import AnsweredTable, predict_table
from tasks.prediction.unfinished import claimed
from tasks.promotion import named_models
from tasks.registry import registered_model
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake

SHORTEST = 3


class Serving:
    """Reads series with the ids, times and values of a small table."""

    def settings_for(self, path: Path, **changed: object) -> UnlabelledSource:
        stated = {"id_column": "id", "time_unit": "step", "duplicates": "mean", "expect_merged": True}
        stated |= {"where": {"kind": "a"}}
        return UnlabelledSource(**stated | {"path": str(path), **changed})


class Summing:
    """Answers each series with the sum of its values, if there are three of them."""

    serving = Serving()
    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def answer_files(self, inputs: Inputs, *, refusals: list[Refusal], intake: Intake) -> pl.DataFrame:
        folder = inputs.files[0].path.with_name("scratch")
        folder.mkdir(exist_ok=True)
        sequences = read_sequences(folder, inputs=inputs, intake=intake, refusals=refusals)
        for series, length in sequences.select("series", "length").iter_rows():
            if length < SHORTEST:
                refusals.append(Refusal(series, InputError("E-FOR-001", f"{series} has {length}.", fix="give more.")))
        sums = sequences.filter(pl.col("length") >= SHORTEST).select("series", pl.col("value.value").list.sum())
        if sums.is_empty() and refusals:
            raise refusals[0].error
        self.meanwhile()
        return sums


@dataclass(frozen=True, kw_only=True)
class SummedFile(AnsweredTable):
    """What became of a table."""

    def describe_answers(self) -> str:
        return f"{self.rows} sums"

    def counts(self) -> dict[str, int]:
        return {"sums": self.rows}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A model that answers to the name `sums`."""
    found = registered_model.RegisteredModel(name="sums", version="1", artifact_uri="", folder=tmp_path)
    monkeypatch.setattr(named_models, "resolve_model", lambda _: found)


TABLE = """id,time,kind,value
long,0,a,1
long,1,a,2
long,1,a,4

long,2,a,5
lost,0,a,oops
long,2,b,900
empty,0,a,
short,0,a,7
short,1,b,8
"""


def predict(folder: Path, text: str, *, output: str = "out.csv", model: Summing | None = None, **options: object):
    (folder / "in.csv").write_text(text)
    load = lambda _: model or Summing()  # noqa: E731 (a loader as each kind has one)
    return predict_table("sums", folder / "in.csv", folder / output, load=load, told=SummedFile, **options)


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_can_be_answered_is_answered_and_all_else_is_named_with_its_reason(tmp_path: Path):
    predicted = predict(tmp_path, TABLE)

    assert pl.read_csv(tmp_path / "out.csv").rows() == [("long", 9.0, "sums/1")]
    assert predicted.errors == tmp_path / "out.csv.errors.jsonl"
    assert read_lines(predicted.errors) == [
        {"row": 7, "code": "E-SER-001", "column": "value", "reason": 'got "oops", expected a number.'},
        {
            "series": "lost",
            "code": "E-SEQ-004",
            "reason": 'sequence "lost" lacks, or may lack, a row that could not be read.',
        },
        {
            "series": "empty",
            "code": "E-SEQ-001",
            "reason": 'sequence "empty" has no number at any step.',
        },
        {"series": "short", "code": "E-FOR-001", "reason": "short has 1."},
    ]
    assert predicted.describe_refused() == (
        '3 series and 1 row could not be answered; the first: E-SER-001 row 7 column "value": got "oops", expected a '
        "number."
    )


def test_every_row_is_counted_once(tmp_path: Path):
    predicted = predict(tmp_path, TABLE)

    counted = {field: getattr(predicted, field) for field in ("rows_read", "left_out", "blank_lines", "merged")}
    assert counted == {"rows_read": 10, "left_out": 2, "blank_lines": 1, "merged": 1}
    assert (predicted.bad, predicted.refused_rows, predicted.refused_series) == (4, 1, 3)
    used = predicted.rows_read - predicted.left_out - predicted.blank_lines - predicted.refused_rows
    assert used == 6
    assert predicted.describe().splitlines()[:2] == [
        "1 sums",
        "10 rows read: 2 left out by `where`, 1 blank, 1 merged with another of their time, 1 refused.",
    ]
    assert json.loads(json.dumps(dataclasses.asdict(predicted), default=str))["left_out"] == 2
    assert predicted.table()["series refused"] == "3"


def test_a_table_without_faults_leaves_no_file_of_errors(tmp_path: Path):
    (tmp_path / "out.csv.errors.jsonl").write_text("of a run before\n")
    good = "id,time,kind,value\n" + "".join(f"s,{time},a,1\n" for time in range(4))

    predicted = predict(tmp_path, good, overwrite=True)

    assert (predicted.bad, predicted.errors, predicted.rows) == (0, None, 1)
    assert predicted.describe().splitlines()[1] == "4 rows read, none left out."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv", "scratch"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,time,kind,value\nshort,0,a,1\n", "E-FOR-001 short has 1.\nFix: give more."),
        (
            "id,time,kind,value\ns,0,a,1\nt,0,a,1\n",
            "E-FOR-001 s has 1. Nothing of the file can be answered; 2 such faults were found.\nFix: give more.",
        ),
        (
            "id,time,kind,value\ns,0,a,oops\ns,1,a,no\n",
            'E-SER-001 {file}:2 column "value": got "oops", expected a number. Nothing of the file can be answered; 2 '
            "such faults were found.\nFix: if it means a missing value, list it: "
            "--set 'source.missing_values=[\"oops\"]';",
        ),
        (
            "id,time,kind,value\ns,0,b,1\n",
            "E-DATA-001 no rows are left: 1 other than where.kind.\nFix: check `where`",
        ),
        (
            "id,time,value\ns,0,1\n",
            'E-SRC-005 {file}:1 column "kind": is missing, found "id", "time", "value".\n'
            'Fix: add the column ("a" in the rows to answer), or answer all rows with --set source.where={}.',
        ),
    ],
)
def test_a_table_of_which_nothing_can_be_answered_is_refused_with_the_first_reason(
    tmp_path: Path, text: str, message: str
):
    with pytest.raises(InputError) as caught:
        predict(tmp_path, text)

    assert str(caught.value).startswith(message.replace("{file}", str(tmp_path / "in.csv")))
    assert not (tmp_path / "out.csv").exists()


def test_a_setting_that_would_help_is_named_as_the_option_that_gives_it(tmp_path: Path):
    backwards = "id,time,kind,value\n" + "".join(f"s,{time},a,1\n" for time in reversed(range(4)))

    with pytest.raises(InputError) as caught:
        predict(tmp_path, backwards)

    assert caught.value.fix == "sort the rows, or pass --set source.unsorted=sort."
    assert predict(tmp_path, backwards, source={"unsorted": "sort"}).rows == 1


def test_settings_may_be_others_for_a_file_of_another_form(tmp_path: Path):
    text = "id,time,value\n" + "".join(f"s,{time},1\n" for time in range(4))

    assert predict(tmp_path, text, source={"where": {}}).rows == 1


@pytest.mark.parametrize(("options", "status"), [([], 2), (["--skip-bad"], 0)])
def test_series_that_cannot_be_answered_fail_a_prediction_unless_they_may_be_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], status: int
):
    predicted = predict(tmp_path, TABLE)
    monkeypatch.setattr(launch, "launch_prediction", lambda **_: predicted)

    result = CliRunner().invoke(main, ["predict", "sums", "in.csv", "out.csv", *options])

    assert result.exit_code == status
    assert "3 series and 1 row could not be answered" in result.stderr


def test_of_two_predictions_to_one_output_the_second_is_refused(tmp_path: Path):
    good = "id,time,kind,value\n" + "".join(f"s,{time},a,1\n" for time in range(4))

    with claimed(tmp_path / "out.csv"), pytest.raises(InputError, match="E-OUT-003"):
        predict(tmp_path, good)
    assert predict(tmp_path, good).rows == 1


def test_an_output_that_appeared_meanwhile_is_kept(tmp_path: Path):
    good = "id,time,kind,value\n" + "".join(f"s,{time},a,1\n" for time in range(4))
    model = Summing()
    model.meanwhile = lambda: (tmp_path / "out.csv").write_text("of another program")

    with pytest.raises(InputError, match="E-OUT-001"):
        predict(tmp_path, good, model=model)

    assert (tmp_path / "out.csv").read_text() == "of another program"
    assert not list(tmp_path.glob(".out*"))
