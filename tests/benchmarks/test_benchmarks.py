import json
import sys
from itertools import repeat
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import loss_curves, measure, reviews, text_contenders, text_preparation, training
from benchmarks.training_contenders import Meter, Setup, shuffled_batches
from rnnmodels.classifiers.batches import Batch
from rnnmodels.training import fitting
from tasks.kinds.classify.recipe import CLASSIFY, ShardSettings
from tasks.shard import shard
from tasks.store import artefacts
from tasks.store.manifest import Summary

pytestmark = pytest.mark.costly

TEXTS = ["A fine film.<br />Don't miss it", "a dull, DULL film", "", "It isn't fine"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    columns = {"row": range(len(TEXTS)), "label": ["pos", "neg", "neg", "neg"], "text": TEXTS}
    pl.DataFrame(columns, schema_overrides={"row": pl.UInt32}).write_parquet(path)
    return path


@pytest.fixture
def shards(project: Path) -> Path:
    generator = np.random.default_rng(2)

    def write(folder: Path) -> dict:
        for split, num_rows in {"train": 240, "valid": 24, "test": 24}.items():
            tokens = [generator.integers(2, 50, length, np.uint16) for length in generator.integers(1, 13, num_rows)]
            columns = {
                "row": np.arange(num_rows, dtype=np.uint32),
                "target": generator.integers(0, 2, num_rows, np.uint16),
            }
            pl.DataFrame({**columns, "tokens": tokens}).write_parquet(folder / f"{split}.parquet")
        return Summary.model_validate({"rows": 288, "vocabulary_size": 50, "labels": ["neg", "pos"]})

    encoded = artefacts.build("encode", write, module="tasks.store.artefacts", config={})
    return shard.fn(CLASSIFY, encoded, ShardSettings(max_length=10, num_widths=2)).path


def batch_of(num_rows: int) -> Batch:
    return Batch(np.arange(num_rows), np.ones((num_rows, 3), np.uint16), np.full(num_rows, 3), np.zeros(num_rows))


def test_a_spread_names_the_median_and_the_extremes():
    assert measure.spread([3.0, 1.0, 1_000.0]) == "3 (1 to 1,000)"


def test_a_contender_whose_package_is_absent_is_skipped_with_the_reason():
    present, reasons = measure.split_by_presence({"ours": ("json",), "rival": ("json", "no_such_package")})
    assert present == ["ours"]
    assert reasons == ["Skipped rival: no_such_package not installed (`pip install -r benchmarks/requirements.txt`)."]


def test_a_contender_that_fails_stops_the_benchmark():
    with pytest.raises(RuntimeError, match="contender ended with exit code 1"):
        measure.run_fresh("benchmarks.reviews", ["repeat", "absent.parquet", "absent.parquet", "2"])


def test_the_peak_of_a_fresh_process_counts_its_memory(rows: Path, tmp_path: Path):
    sample = measure.run_fresh("benchmarks.reviews", ["repeat", str(rows), str(tmp_path / "more.parquet"), "2"])
    assert sample.figures["rows"] == 2 * len(TEXTS)
    assert sample.peak_mb >= sample.figures["own_peak_mb"] > 20
    assert sample.process_s > 0


def test_repeated_rows_bring_words_of_their_own(rows: Path, tmp_path: Path):
    path = tmp_path / "repeated.parquet"
    assert reviews.repeat_rows(rows, path, copies=3) == 12
    repeated = pl.read_parquet(path)
    assert repeated["row"].to_list() == list(range(12))
    assert repeated["text"].to_list()[:5] == [*TEXTS, f"{TEXTS[0]} novel1x0"]
    assert repeated["text"].n_unique() == 12


def test_text_preparation_publishes_times_memory_and_scaling(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run_fresh = measure.run_fresh

    def run_without_archive(module: str, arguments: list[str], **options: int) -> measure.Sample:
        if arguments[0] != "rows":
            return run_fresh(module, arguments, **options)
        Path(arguments[-1]).write_bytes(rows.read_bytes())
        return measure.Sample(0.1, 1.0, {})

    monkeypatch.setattr(measure, "run_fresh", run_without_archive)
    output = tmp_path / "results" / "text.md"
    arguments = ["--archive", "/data/aclImdb.tar.gz", "--rounds", "1", "--scales", "2", "--rivals"]
    monkeypatch.setattr(sys, "argv", ["text_preparation.py", *arguments, "--output", str(output)])
    text_preparation.main()
    report = output.read_text()
    assert "`python -m benchmarks.text_preparation --archive aclImdb.tar.gz --rounds 1" in report
    assert "- rnnflow: 16 tokens, 6.25% outside the vocabulary" in report
    assert "| 2x |" in report


def test_the_hugging_face_rival_makes_the_same_tokens(rows: Path, tmp_path: Path):
    pytest.importorskip("datasets", reason="the rivals of the benchmarks are not installed")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for name, folder in (("rnnflow", ours), ("hugging-face-1", theirs)):
        folder.mkdir()
        text_contenders.encode(name, rows, folder)
    # Only rnnflow gives an empty text a token, <unk>; all other rows agree.
    assert text_contenders.compare(ours, theirs) == {"num_tokens": 15, "agreement": 15 / 16}


def test_a_batch_counts_as_trained_on_when_the_next_one_is_asked_for():
    meter = Meter()
    batches = meter.watch(repeat(batch_of(5)))
    next(batches)
    assert meter.rows == 0
    next(batches)
    assert meter.rows == 5
    assert meter.loader_s > 0


def test_shuffled_batches_hold_every_row_once_per_pass_with_its_own_target(shards: Path):
    setup = Setup(shards, "cpu", batch_tokens=200)
    batches = shuffled_batches(setup, width=10)
    num_batches = -(-240 // setup.num_batch_rows)
    taken = [next(batches) for _ in range(num_batches)]
    assert sorted(row for batch in taken for row in batch.row) == list(range(240))
    assert {batch.steps.shape[1] for batch in taken} == {10}
    assert all((np.count_nonzero(batch.steps, axis=1) == batch.length).all() for batch in taken)


def test_smoothed_losses_are_means_of_twenty_steps_and_of_the_rest():
    assert loss_curves.smoothed([1.0] * 20 + [2.0, 4.0]) == [1.0, 3.0]


def test_losses_are_recorded_step_by_step_and_compared(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fitting, "SECONDS_BETWEEN_STEP_RESULTS", 0.5)  # restored afterwards
    setup = Setup(shards, "cpu", batch_tokens=200)
    curve = loss_curves.record_losses(setup, "float32")
    assert len(curve["losses"]) == setup.open_split("train").num_batches(200)
    shifted = {**curve, "losses": [loss + 0.25 for loss in curve["losses"]]}
    loss_curves.save_curves({"cpu": curve, "cuda": shifted}, tmp_path / "curves.md")
    assert json.loads((tmp_path / "curves.json").read_text())["cpu"] == curve
    assert (tmp_path / "curves.png").stat().st_size > 1_000
    *_, cpu, cuda = loss_curves.curve_table({"cpu": curve, "cuda": shifted}).splitlines()
    assert cpu.startswith("| cpu | 0.0e+00 | 0.000 |")
    assert cuda.startswith("| cuda | 2.5e-01 | 0.250 |")


def test_training_publishes_rows_per_second_and_ratios(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    output = tmp_path / "training.md"
    turns = ["--rounds", "1", "--seconds", "0.6", "--warm-up-s", "0.1", "--threads", "1", "--batch-tokens", "200"]
    arguments = ["--shards", str(shards), "--rivals", "packed", *turns, "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["training.py", *arguments])
    training.main()
    table = [
        line.split(" | ") for line in output.read_text().splitlines() if line.startswith(("| rnnflow", "| packed"))
    ]
    assert [cells[0] for cells in table] == ["| rnnflow", "| packed"]
    assert table[0][2] == "1.00"
    assert all(float(cells[1].split(" ")[0].replace(",", "")) > 0 for cells in table)
