"""A prediction that is cut off goes on behind its last finished window, and ends as if nothing had happened."""

import contextlib
import dataclasses
import fcntl
import json
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tasks.errors import InputError
from tasks.kinds.classify.predict import PredictedFile, predict_file
from tasks.monitoring import seen
from tasks.progress import Progress, listening
from tasks.promotion import named_models
from tasks.registry import registered_model
from tasks.sources import intake
from tasks.text import windows
from tests.processes import Forked, Forker
from tests.tasks.crashes import Crash, count_steps

ROOT = Path(__file__).parents[4]
ROWS, WINDOW_ROWS = 95, 10
SUFFIXES = [".csv", ".jsonl", ".parquet"]

WORK = """
import sys
from pathlib import Path
from tasks.kinds.classify import predict
from tasks.registry import registered_model
from tasks.promotion import named_models
from tasks.text import windows
from tasks.sources import intake

intake.BATCH_ROWS = windows.WINDOW_ROWS = {window_rows}
found = registered_model.RegisteredModel(name="reviews", version="1", artifact_uri="", folder=Path({folder!r}))
named_models.resolve_model = lambda text: found
import rnnmodels.classifiers.inference
print("ready", flush=True)
predict.predict_file("reviews", Path({source!r}), Path({output!r}))
print("done", flush=True)
"""


@pytest.fixture(scope="module")
def own_home(rivals_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(rivals_home, tmp_path_factory.mktemp("predicting") / "home")


@pytest.fixture(autouse=True)
def home(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RNNFLOW_HOME", str(own_home))
    set_window_rows(monkeypatch, WINDOW_ROWS)
    return own_home


def set_window_rows(monkeypatch: pytest.MonkeyPatch, num_rows: int) -> None:
    monkeypatch.setattr(intake, "BATCH_ROWS", num_rows)
    monkeypatch.setattr(windows, "WINDOW_ROWS", num_rows)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Rows of which every tenth is bad."""
    return write_source(tmp_path / "in.jsonl", ROWS)


def write_source(path: Path, num_rows: int) -> Path:
    draw = random.Random(3)
    words = ["great", "moving", "dull", "flat", "the", "film", "was", "a", "story"]
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 25))) for _ in range(num_rows)]
    lines = [json.dumps({"text": None if row % 10 == 4 else text}) for row, text in enumerate(texts)]
    path.write_text("\n".join(lines))
    return path


def interrupted_after(num_rows: int) -> Callable[[Progress], None]:
    """A listener that ends the work once so many rows are done, as Ctrl-C would."""

    def listen(event: Progress) -> None:
        if event.done >= num_rows:
            raise KeyboardInterrupt

    return listen


def begin(source: Path, output: Path, *, rows: int = 40, **options: object) -> None:
    with pytest.raises(KeyboardInterrupt), listening(interrupted_after(rows)):
        predict_file("reviews", source, output, **options)


def same_but_for_time(one: PredictedFile, other: PredictedFile, output: Path) -> bool:
    free = {"wall_s": 0, "rows_per_s": 0, "kept_rows": 0, "output": output, "errors": None}
    return dataclasses.replace(one, **free) == dataclasses.replace(other, **free)


@pytest.mark.numeric
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_command_goes_on_and_ends_byte_for_byte_alike(source: Path, tmp_path: Path, suffix: str):
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    expected = predict_file("reviews", source, whole)
    begin(source, cut)
    assert not cut.exists()

    result = predict_file("reviews", source, cut)

    assert (result.kept_rows, expected.kept_rows) == (40, 0)
    assert same_but_for_time(result, expected, whole)
    assert cut.read_bytes() == whole.read_bytes()
    errors = [path.with_name(f"{path.name}.errors.jsonl").read_bytes() for path in (cut, whole)]
    assert errors[0] == errors[1]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.numeric
def test_windows_do_not_show_in_the_answers(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    predict_file("reviews", source, tmp_path / "many.csv")
    set_window_rows(monkeypatch, 1_000)
    predict_file("reviews", source, tmp_path / "one.csv")

    many, one = pl.read_csv(tmp_path / "many.csv"), pl.read_csv(tmp_path / "one.csv")

    assert many["row"].to_list() == one["row"].to_list() == [row for row in range(1, ROWS + 1) if row % 10 != 5]
    assert many["probability_pos"].to_list() == pytest.approx(one["probability_pos"].to_list(), abs=1e-6)


def test_a_new_champion_does_not_answer_the_rest_of_an_old_order(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    begin(source, tmp_path / "out.csv")
    resolve = named_models.resolve_model
    monkeypatch.setattr(named_models, "resolve_model", lambda text: resolve("reviews/2" if text == "reviews" else text))

    result = predict_file("reviews", source, tmp_path / "out.csv")
    later = predict_file("reviews", source, tmp_path / "later.csv")

    assert (result.model, result.kept_rows) == ("reviews/1", 40)
    assert set(pl.read_csv(tmp_path / "out.csv")["model"]) == {"reviews/1"}
    assert (later.model, set(pl.read_csv(tmp_path / "later.csv")["model"])) == ("reviews/2", {"reviews/2"})


def test_a_version_that_is_gone_is_replaced_for_all_rows(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    begin(source, tmp_path / "out.csv")
    resolve = named_models.resolve_model

    def without_the_first(text: str) -> registered_model.RegisteredModel:
        if text == "reviews/1":
            raise InputError("E-REG-001", "gone.", fix="train again.")
        return resolve("reviews/2")

    monkeypatch.setattr(named_models, "resolve_model", without_the_first)
    result = predict_file("reviews", source, tmp_path / "out.csv")

    assert (result.model, result.kept_rows) == ("reviews/2", 0)
    assert set(pl.read_csv(tmp_path / "out.csv")["model"]) == {"reviews/2"}
    assert "Version reviews/1, which answered so far, no longer exists: all rows are answered again." in caplog.text


@pytest.mark.parametrize("change", ["input", "model", "column"])
def test_another_order_starts_anew(source: Path, tmp_path: Path, change: str):
    begin(source, tmp_path / "out.csv")
    model, options = "reviews", {}
    if change == "input":
        with source.open("a") as file:
            file.write('\n{"text": "another film"}')
    elif change == "model":
        model = "reviews/1"
    else:
        source.write_text(source.read_text().replace('{"text"', '{"body": "x", "text"'))
        begin(source, tmp_path / "out.csv")
        options = {"text_column": "body"}

    result = predict_file(model, source, tmp_path / "out.csv", **options)

    assert result.kept_rows == 0
    assert len(set(pl.read_csv(tmp_path / "out.csv")["row"])) == result.rows - result.bad


def test_a_kept_window_that_was_damaged_is_answered_again(source: Path, tmp_path: Path):
    predict_file("reviews", source, tmp_path / "whole.csv")
    begin(source, tmp_path / "out.csv")
    damaged = tmp_path / ".out.csv.partial" / "window-000002.csv"
    damaged.write_bytes(damaged.read_bytes().replace(b"reviews/1", b"reviews/7"))

    result = predict_file("reviews", source, tmp_path / "out.csv")

    assert result.kept_rows == 20
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_two_predictions_of_one_output_are_one_too_many(source: Path, tmp_path: Path):
    output = tmp_path / "out.csv"
    begin(source, output)
    lock = (tmp_path / ".out.csv.partial" / "lock").open("a+")
    fcntl.flock(lock, fcntl.LOCK_EX)
    lock.truncate(0)
    lock.write("4711")
    lock.flush()

    with pytest.raises(InputError) as caught:
        predict_file("reviews", source, output)

    assert str(caught.value) == (
        f"E-OUT-003 {output}: is being written by another prediction (process 4711).\n"
        "Fix: wait for it to end, or name another output."
    )
    lock.close()
    assert predict_file("reviews", source, output).kept_rows == 40


def test_an_output_that_appeared_meanwhile_is_kept(source: Path, tmp_path: Path):
    output = tmp_path / "out.csv"
    begin(source, output)
    output.write_text("precious")

    with pytest.raises(InputError, match="E-OUT-001"):
        predict_file("reviews", source, output)

    assert output.read_text() == "precious"
    assert predict_file("reviews", source, output, overwrite=True).kept_rows == 40


def test_old_errors_go_when_an_overwrite_finds_none(tmp_path: Path):
    source, output = tmp_path / "in.jsonl", tmp_path / "out.csv"
    source.write_text('{"text": "good"}\n{"text": null}\n')
    predict_file("reviews", source, output)
    assert (tmp_path / "out.csv.errors.jsonl").exists()
    source.write_text('{"text": "good"}\n')

    predict_file("reviews", source, output, overwrite=True)

    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix) == ["in.jsonl", "out.csv"]


def test_what_was_seen_counts_once_however_often_it_is_repeated(source: Path, tmp_path: Path, home: Path):
    shutil.rmtree(home / "data" / "seen", ignore_errors=True)
    begin(source, tmp_path / "out.csv")
    predict_file("reviews", source, tmp_path / "out.csv")
    predict_file("reviews", source, tmp_path / "again.csv")

    recorded = list(seen.seen_folder("reviews/1").glob("*.json"))

    assert len(recorded) == 1
    assert sum(json.loads(recorded[0].read_bytes())["profile"]["predicted"].values()) == ROWS - 10


class OutputExistsError(Exception):
    """What E-OUT-001 says: the crash came after the last step that matters."""


def predict_again(source: Path, output: Path) -> None:
    try:
        predict_file("reviews/1", source, output)
    except InputError as error:
        if error.code == "E-OUT-001":
            raise OutputExistsError from error
        raise


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_crash_at_any_step_costs_no_row_and_doubles_none(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
):
    crash_at = count_steps(monkeypatch)
    set_window_rows(monkeypatch, 40)
    predict_file("reviews/1", source, tmp_path / f"whole{suffix}")
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    crashed, step = True, 0
    while crashed:
        step, crashed = step + 1, False
        output = tmp_path / f"{step}{suffix}"
        crash_at(step)
        try:
            predict_file("reviews/1", source, output)
        except Crash:
            crashed = True
        crash_at(0)
        with contextlib.suppress(OutputExistsError) if output.exists() else contextlib.nullcontext():
            predict_again(source, output)
        assert output.read_bytes() == whole, step
        assert output.with_name(f"{output.name}.errors.jsonl").exists(), step
    assert step > 20


@pytest.mark.parametrize("num_kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_at_random_instants_cost_no_row_and_double_none(
    home: Path, tmp_path: Path, heavy_process: Forker, num_kills: int
):
    source = write_source(tmp_path / "in.jsonl", 20 * ROWS)
    folder = str(named_models.resolve_model("reviews/1").folder)
    code = WORK.format(window_rows=WINDOW_ROWS, folder=folder, source=str(source), output=str(tmp_path / "out.csv"))
    other = WORK.format(window_rows=WINDOW_ROWS, folder=folder, source=str(source), output=str(tmp_path / "whole.csv"))
    with working(heavy_process, other) as process:
        started = time.monotonic()
        assert process.stdout.readline() == "done\n"
        whole_s = time.monotonic() - started
    draw, kills = random.Random(5), 0
    while kills < num_kills and not (tmp_path / "out.csv").exists():
        with working(heavy_process, code) as process:
            time.sleep(draw.uniform(0, 0.5 * whole_s / num_kills))
            process.kill()
        kills += 1
    if not (tmp_path / "out.csv").exists():
        with working(heavy_process, code) as process:
            assert process.stdout.readline() == "done\n"

    assert kills >= min(num_kills, 3)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    rows = pl.read_csv(tmp_path / "out.csv")["row"].to_list()
    assert rows == [row for row in range(1, 20 * ROWS + 1) if row % 10 != 5]


class working:  # noqa: N801 (reads as a block)
    """A process that has imported everything and now predicts."""

    def __init__(self, forker: Forker, code: str) -> None:
        self.process = forker.start(code, cwd=ROOT)

    def __enter__(self) -> Forked:
        assert self.process.stdout.readline() == "ready\n"
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.communicate()
