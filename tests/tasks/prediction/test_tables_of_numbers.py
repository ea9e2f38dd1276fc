"""A table of numbers is answered as far as it can be; what cannot be answered is named, and every row is counted."""

import dataclasses
import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from flows.commands import launch
from flows.commands.cli import main
from tasks.contract.notes import Notes
from tasks.contract.profile import Profile
from tasks.contract.table_model import Refusal, TableModel
from tasks.errors import InputError
from tasks.kinds.classify_series.frames import read_in_chunks
from tasks.kinds.classify_series.ingest import write_sequences
from tasks.kinds.classify_series.source import UnlabelledSource
from tasks.monitoring.seen import seen_folder, sum_seen
from tasks.prediction import tables_of_numbers
from tasks.prediction.tables_of_numbers import AnsweredTable, predict_table
from tasks.prediction.unfinished import claimed
from tasks.progress import listening
from tasks.promotion import named_models
from tasks.registry import registered_model
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake
from tests.tasks.crashes import Crash, count_steps, interrupted_after

SHORTEST = 3


class Serving:
    """Reads series with the ids, times and values of a small table."""

    def settings_for(self, path: Path, **changed: object) -> UnlabelledSource:
        stated = {"id_column": "id", "time_unit": "step", "duplicates": "mean", "expect_merged": True}
        stated |= {"where": {"kind": "a"}}
        return UnlabelledSource(**stated | {"path": str(path), **changed})


class Summing(TableModel[UnlabelledSource]):
    """Answers each series with the sum of its values, if there are three of them."""

    serving = Serving()
    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def store_rows(self, folder: Path, inputs: Inputs, intake: Intake, refusals: list[Refusal]) -> Path:
        write_sequences(folder, inputs=inputs, intake=intake, refusals=refusals)
        return folder / "rows.parquet"

    def read_windows(self, path: Path, max_rows: int) -> Iterator[pl.DataFrame]:
        return read_in_chunks(path, max_rows)

    def answer_window(
        self,
        rows: pl.DataFrame,
        settings: UnlabelledSource,
        *,
        refusals: list[Refusal],
        notes: Notes,
        profiles: list[Profile],
    ) -> pl.DataFrame:
        for series, length in rows.select("series", "length").iter_rows():
            if length < SHORTEST:
                refusals.append(Refusal(series, InputError("E-FOR-001", f"{series} has {length}.", fix="give more.")))
        sums = rows.filter(pl.col("length") >= SHORTEST).select("series", pl.col("value.value").list.sum())
        if sums.is_empty() and refusals:
            raise refusals[0].error
        profiles.append(Profile(rows=3))
        self.meanwhile()
        notes.add("sums", sums.height, *sums["series"])
        return sums

    def describe(self, notes: Notes) -> list[str]:
        return [f"summed {notes.count('sums')}: {notes.show('sums')}"]


@dataclass(frozen=True, kw_only=True)
class SummedFile(AnsweredTable):
    """What became of a table."""

    items = "series"

    def describe_answers(self) -> str:
        return f"{self.rows} sums"

    def counts(self) -> dict[str, int]:
        return {"sums": self.rows}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A model that answers to the name `sums`."""
    folder = tmp_path / "model"
    (folder / "artifacts" / "parts").mkdir(parents=True)
    (folder / "artifacts" / "parts" / "serving.json").write_text("{}")
    found = registered_model.RegisteredModel(name="sums", version="1", artifact_uri="", folder=folder)
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
    assert (predicted.bad, predicted.refused_rows, predicted.refused_items) == (4, 1, 3)
    used = predicted.rows_read - predicted.left_out - predicted.blank_lines - predicted.refused_rows
    assert used == 6
    assert predicted.describe().splitlines()[:2] == [
        "1 sums",
        "10 rows read: 2 left out by `where`, 1 blank, 1 merged with another row of the same time, 1 refused.",
    ]
    assert json.loads(json.dumps(dataclasses.asdict(predicted), default=str))["left_out"] == 2
    assert predicted.table()["series refused"] == "3"


def test_a_table_without_faults_leaves_no_file_of_errors(tmp_path: Path):
    (tmp_path / "out.csv.errors.jsonl").write_text("of a run before\n")
    good = "id,time,kind,value\n" + "".join(f"s,{time},a,1\n" for time in range(4))

    predicted = predict(tmp_path, good, overwrite=True)

    assert (predicted.bad, predicted.errors, predicted.rows) == (0, None, 1)
    assert predicted.describe().splitlines()[1] == "4 rows read, none refused."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "in.csv", "model", "out.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,time,kind,value\nshort,0,a,1\n", "E-FOR-001 short has 1.\nFix: give more."),
        (
            "id,time,kind,value\ns,0,a,1\nt,0,a,1\n",
            "E-FOR-001 s has 1. Nothing in the file can be answered; 2 such faults were found.\nFix: give more.",
        ),
        (
            "id,time,kind,value\ns,0,a,oops\ns,1,a,no\n",
            'E-SER-001 {file}:2 column "value": got "oops", expected a number. Nothing in the file can be answered; 2 '
            "such faults were found.\nFix: if it means a missing value, list it: "
            "--set 'source.missing_values=[\"oops\"]';",
        ),
        (
            "id,time,kind,value\ns,0,b,1\n",
            "E-DATA-001 no rows are left: 1 other than where.kind.\nFix: check `where`",
        ),
        (
            "id,time,value\ns,0,1\n",
            'E-SRC-005 {file}:1 column "kind": is missing, found "id", "time", "value". The first row reads "s", "0", '
            '"1".\n'
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
    model.meanwhile = lambda: pytest.fail("what is answered is answered once")
    assert predict(tmp_path, good, model=model, overwrite=True).rows == 1
    assert not list(tmp_path.glob(".out*"))


def draw_series(num_series: int) -> str:
    """Series of which every fourth is too short, and every fifth has a row that cannot be read."""
    lines = ["id,time,kind,value"]
    for number in range(num_series):
        length = 1 if number % 4 == 1 else 3 + number % 3
        lines += [f"s{number:02d},{time},a,{'oops' if number % 5 == 4 else number + time}" for time in range(length)]
    return "\n".join(lines)


def read_result(folder: Path, output: str) -> tuple[bytes, bytes]:
    return (folder / output).read_bytes(), (folder / f"{output}.errors.jsonl").read_bytes()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_windows_show_neither_in_the_answers_nor_in_what_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
):
    table = draw_series(30)
    at_once = predict(tmp_path, table, output=f"once{suffix}")
    monkeypatch.setattr(tables_of_numbers, "WINDOW_ROWS", 4)

    in_windows = predict(tmp_path, table, output=f"many{suffix}")

    read = {".csv": pl.read_csv, ".jsonl": pl.read_ndjson, ".parquet": pl.read_parquet}[suffix]
    assert read(tmp_path / f"many{suffix}").equals(read(tmp_path / f"once{suffix}"))
    assert read_result(tmp_path, f"many{suffix}")[1] == read_result(tmp_path, f"once{suffix}")[1]
    free = {"output": Path(), "errors": None, "wall_s": 0, "rows_per_s": 0}
    assert dataclasses.replace(in_windows, **free) == dataclasses.replace(at_once, **free)
    assert in_windows.warnings == ["summed 18: s00; s02; s03; ..."]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_crash_at_any_step_costs_no_series_and_doubles_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
):
    monkeypatch.setattr(tables_of_numbers, "WINDOW_ROWS", 20)
    table = draw_series(15)
    predict(tmp_path, table, output=f"whole{suffix}")
    whole, crash_at = read_result(tmp_path, f"whole{suffix}"), count_steps(monkeypatch)
    crashed, step = True, 0
    while crashed:
        step, crashed = step + 1, False
        output = f"{step}{suffix}"
        crash_at(step)
        try:
            predict(tmp_path, table, output=output)
        except Crash:
            crashed = True
        crash_at(0)
        if not (tmp_path / output).exists():
            predict(tmp_path, table, output=output)
        assert read_result(tmp_path, output) == whole, step
    assert step > 20


def test_a_table_that_changed_is_read_and_answered_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables_of_numbers, "WINDOW_ROWS", 4)
    with pytest.raises(KeyboardInterrupt), listening(interrupted_after(3)):
        predict(tmp_path, draw_series(30))

    assert predict(tmp_path, draw_series(31)).kept_rows == 0


def test_stored_rows_that_were_damaged_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables_of_numbers, "WINDOW_ROWS", 4)
    predict(tmp_path, draw_series(30), output="whole.csv")
    with pytest.raises(KeyboardInterrupt), listening(interrupted_after(3)):
        predict(tmp_path, draw_series(30))
    (tmp_path / ".out.csv.partial" / "rows.parquet").write_bytes(b"PAR1")

    assert predict(tmp_path, draw_series(30)).kept_rows == 2

    assert read_result(tmp_path, "out.csv") == read_result(tmp_path, "whole.csv")


def test_where_nothing_is_answered_for_long_the_first_reason_is_told_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tables_of_numbers, "WINDOW_ROWS", 2)
    table = "id,time,kind,value\n" + "".join(f"s{number},0,a,1\n" for number in range(9))
    with pytest.raises(KeyboardInterrupt), listening(interrupted_after(3)):
        predict(tmp_path, table)

    with pytest.raises(
        InputError, match=r"E-FOR-001 s0 has 1\. Nothing .* 9 such faults were found\.\nFix: give more\."
    ):
        predict(tmp_path, table)

    assert not list(tmp_path.glob(".out*"))


def test_what_was_seen_is_recorded_once_however_often_a_file_is_predicted(tmp_path: Path):
    for output in ("out.csv", "again.csv"):
        predict(tmp_path, TABLE, output=output)
    predict(tmp_path, TABLE.replace("long,2,a,5", "long,2,a,6"), output="other.csv")

    assert sum_seen("sums/1", since=datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)).rows == 3 + 3


def test_what_is_refused_as_a_whole_was_not_seen(tmp_path: Path):
    with pytest.raises(InputError):
        predict(tmp_path, "id,time,value\nshort,0,7\n")

    assert not seen_folder("sums/1").exists()
