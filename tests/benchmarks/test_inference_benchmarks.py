import argparse
import sys
from pathlib import Path

import polars as pl
import pytest

from benchmarks import prediction, serving
from benchmarks.prediction_contenders import CONTENDERS, Setup, build_classifier, write_texts


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "texts.csv"
    assert write_texts(path, texts="mixed", num_rows=60) == 60
    return path


def test_all_contenders_give_the_same_answers(source: Path, tmp_path: Path):
    setup = Setup(source, build_classifier(source, "gru"))
    answers = {}
    for name, predict in CONTENDERS.items():
        predict(setup, tmp_path / f"{name}.csv")
        answers[name] = pl.read_csv(tmp_path / f"{name}.csv")

    assert [list(table.columns) for table in answers.values()] == [list(answers["rnnflow"].columns)] * 3
    for table in answers.values():
        assert table["row"].to_list() == answers["rnnflow"]["row"].to_list()
        assert table["label"].to_list() == answers["rnnflow"]["label"].to_list()
        assert table["probability_pos"].to_list() == pytest.approx(
            answers["rnnflow"]["probability_pos"].to_list(), abs=1e-6
        )
    assert 30 < setup.num_batch_rows < 150


def test_long_texts_are_the_reviews_alone(tmp_path: Path):
    write_texts(tmp_path / "long.csv", texts="long", num_rows=200)
    assert pl.read_csv(tmp_path / "long.csv")["text"].str.len_chars().min() > 100


def test_contenders_that_disagree_are_not_compared():
    ours, others = {"rows": 5, "mean_probability": 0.5}, {"rows": 5, "mean_probability": 0.6}
    with pytest.raises(RuntimeError, match="the contenders disagree"):
        prediction.check_same_answers({"rnnflow": [ours], "row-order": [others]})


def test_a_ratio_is_given_by_wall_and_by_processor_time():
    def taken(wall: float, cpu: float) -> list[dict]:
        return [{"rows_per_s": wall, "rows_per_cpu_s": cpu}] * 2

    rows = prediction.contender_rows("gru", "long", {"rnnflow": taken(900, 500), "row-order": taken(300, 250)})

    assert rows[1] == ["gru, long: row-order", "300 (300 to 300)", "3.00", "3.00 (3.00 to 3.00)", "2.00"]


def test_a_load_is_laid_out_from_what_locust_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    locust = tmp_path / "locust"
    locust.write_text(
        f"#!{sys.executable}\n"
        "import os, sys\n"
        "prefix = sys.argv[sys.argv.index('--csv') + 1]\n"
        "row = f\"{os.environ['BENCH_PROTOCOL']},Aggregated,7,1,{os.environ['BENCH_RATE']},5,9,11\"\n"
        "head = 'Type,Name,Request Count,Failure Count,Requests/s,50%,95%,99%'\n"
        "open(f'{prefix}_stats.csv', 'w').write(f'{head}\\n{row}')\n"
    )
    locust.chmod(0o755)
    options = argparse.Namespace(locust=str(locust), clients=4, seconds=1)

    figures = serving.put_under_load("rnnflow-unbatched", "http://127.0.0.1:1", tmp_path, rate=10, options=options)

    assert figures["Type"] == "rnnflow"
    assert serving.load_row("rnnflow", 10, figures) == ["rnnflow, 10/s", "2.5", "5", "9", "11", "1"]
    assert serving.load_row("rnnflow", 0, figures)[0] == "rnnflow, most"


def test_the_servers_serve_the_same_model_on_loopback():
    assert serving.command_of("rnnflow", "folder", 7)[-4:] == ["serve", "bench", "--port", "7"]
    assert serving.command_of("rnnflow-unbatched", "folder", 7)[-2:] == ["--set", "batch_items=1"]
    assert "127.0.0.1" in serving.command_of("mlflow", "folder", 7)
