"""From canonical rows to Arrow segments: cuts in time, no window across a gap, no trace of the future."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.errors import InputError
from tasks.kinds.forecast.encode import ScaleSettings, write_encoded
from tasks.kinds.forecast.shard import WindowSettings, write_shards
from tasks.kinds.forecast.split import TimeSplitSettings, must_hold, write_splits
from tasks.kinds.forecast.summaries import SeriesRowsSummary
from tasks.panel.frames import CHUNK_ROWS, ROWS_FILE, SPLITS, VALID, read_windows
from tasks.panel.time_grid import TimeGrid, show_time
from tasks.store import artefacts
from tasks.store.artefacts import Artefact

HOURLY = TimeGrid("1h", "naive", None, 0)
STEPS = TimeGrid("1", "step", None, 0)
# Hours of validation and test rows; those between stay whole, so that a window fits into each split.
EDITED = [*range(48, 55), 60, *range(70, 80)]


def rows_of(values: dict[str, list[float | None]], *, skip: dict[str, list[int]] | None = None) -> pl.DataFrame:
    """A channel `x` for each series, one value an hour from 1970 on, without the hours to skip."""
    parts = [
        pl.DataFrame({"series": name, "hour": range(len(numbers)), "value.x": pl.Series(numbers, dtype=pl.Float64)})
        for name, numbers in values.items()
    ]
    left_out = [hour for hours in (skip or {}).values() for hour in hours]
    rows = pl.concat(parts).filter(~pl.col("hour").is_in(left_out)).with_row_index("row")
    time = pl.lit(datetime(1970, 1, 1)) + pl.duration(hours="hour")
    return rows.select("row", "series", time.alias("time"), "value.x")


@pytest.fixture
def make(project: Path) -> Callable[..., list[Artefact]]:
    """Take rows through the three stages: `make(rows, split={...}, scale={...}, window={...})`."""

    def make(rows: pl.DataFrame, *, split=None, scale=None, window=None, grid: TimeGrid = HOURLY) -> list[Artefact]:
        def ingest(folder: Path) -> dict:
            rows.write_parquet(folder / "rows.parquet")
            known = [name.removeprefix("known.") for name in rows.columns if name.startswith("known.")]
            ends = (show_time(rows["time"].cast(pl.Int64).min(), grid.clock), "the end")
            return SeriesRowsSummary(
                rows=rows.height, channels=["x"], covariates=known, grid=grid, first_time=ends[0], last_time=ends[1],
                unsorted=0, unsorted_explained="", duplicates=0, missing={}, sentinels={}, gaps={},
            )  # fmt: skip

        stages = [
            artefacts.build("ingest", ingest, module="tasks.store.artefacts", config={"rows": rows.hash_rows().sum()})
        ]
        for name, write, taken, config in (
            ("split", write_splits, "rows", TimeSplitSettings(**split or {})),
            ("encode", write_encoded, "splits", ScaleSettings(**scale or {})),
            ("shard", write_shards, "encoded", WindowSettings(**{"look_back": 4, "horizon": 2} | (window or {}))),
        ):
            step = partial(write, **{taken: stages[-1]}, settings=config)
            stages.append(
                artefacts.build(name, step, module="tasks.store.artefacts", config=config, inputs={taken: stages[-1]})
            )
        return stages

    return make


def segments_of(shards: Artefact, split: str) -> list[pa.RecordBatch]:
    reader = pa.ipc.open_file(pa.memory_map(str(shards.path / f"{split}.arrow")))
    return [reader.get_batch(index) for index in range(reader.num_record_batches)]


def rows_in(shards: Artefact, split: str) -> list[list[int]]:
    return [segment["row"].to_pylist() for segment in segments_of(shards, split)]


def error_of(make, *args, **settings) -> str:
    with pytest.raises(InputError) as caught:
        make(*args, **settings)
    return str(caught.value)


def wave(count: int, seed: int = 1) -> list[float]:
    return (np.sin(np.arange(count) / 3) + np.random.default_rng(seed).normal(0, 0.1, count)).tolist()


def test_shares_are_cut_at_one_time_for_all_series(make):
    rows = rows_of({"a": wave(100), "b": wave(100)[:60]})

    splits = make(rows, split={"valid": 0.2, "test": 0.25})[1]

    cut = pl.read_parquet(splits.file(ROWS_FILE))
    parts = {name: cut.filter(split=number) for number, name in enumerate(SPLITS)}
    assert parts["train"]["time"].max() < parts["valid"]["time"].min()
    assert parts["valid"]["time"].max() < parts["test"]["time"].min()
    assert parts["test"]["series"].unique().to_list() == ["a"]
    assert splits.summary["splits"] == {"train": 88, "valid": 32, "test": 40}
    assert cut.drop("split").equals(rows)


def test_cuts_at_given_times_are_exclusive_and_leave_later_rows_unused(make):
    cuts = {"train_until": "1970-01-02", "valid_until": datetime(1970, 1, 2, 12), "test_until": "1970-01-03T00:00"}

    _, splits, _, shards = make(rows_of({"a": wave(60)}), split=cuts)

    assert splits.summary["splits"] == {"train": 24, "valid": 12, "test": 12}
    assert splits.summary["cuts"] == {
        "train_until": "1970-01-02T00:00:00",
        "valid_until": "1970-01-02T12:00:00",
        "test_until": "1970-01-03T00:00:00",
    }
    assert splits.summary["warnings"] == ["12 rows after test_until, not used"]
    assert rows_in(shards, "test") == [list(range(32, 48))]  # begins with the four rows looked back on
    assert shards.summary["windows"] == {"train": 19, "valid": 11, "test": 11}


def test_cuts_are_read_on_the_clocks_of_the_grid(make):
    paris = TimeGrid("1h", "utc", "Europe/Paris", 0)
    rows = rows_of({"a": wave(60)}).with_columns(pl.col("time").dt.replace_time_zone("UTC"))

    splits = make(rows, split={"train_until": "1970-01-02", "valid_until": "1970-01-02T12:00Z"}, grid=paris)[1]

    assert splits.summary["cuts"]["train_until"] == "1970-01-01T23:00:00Z"
    assert splits.summary["cuts"]["valid_until"] == "1970-01-02T12:00:00Z"


def test_plain_steps_are_cut_at_integers(make):
    rows = rows_of({"a": wave(60)}).with_columns(time=pl.int_range(60, dtype=pl.Int64))

    splits = make(rows, split={"train_until": 30, "valid_until": "40", "test_until": 50}, grid=STEPS)[1]

    assert splits.summary["splits"] == {"train": 30, "valid": 10, "test": 10}
    assert error_of(make, rows, split={"train_until": "x", "valid_until": 40}, grid=STEPS) == (
        'E-SER-007 split.train_until: got "x", expected a whole number of steps, as in the time column.\n'
        "Fix: correct split.train_until in the recipe."
    )


def test_cuts_that_do_not_fit_are_refused(make):
    rows = rows_of({"a": wave(60)})

    assert error_of(make, rows, split={"train_until": "soon", "valid_until": "1970-01-02"}) == (
        'E-SER-007 split.train_until: got "soon", expected a time in ISO 8601 such as 2024-02-29T13:30:00.\n'
        "Fix: correct split.train_until in the recipe."
    )
    assert "expected a time without an offset, as in the time column." in error_of(
        make, rows, split={"train_until": "1970-01-02T00:00Z", "valid_until": "1970-01-03"}
    )
    assert error_of(make, rows, split={"train_until": "1970-01-02", "valid_until": "1970-01-02"}) == (
        "E-SER-006 there are no valid rows from 1970-01-02T00:00:00 and before 1970-01-02T00:00:00; "
        "the rows go from 1970-01-01T00:00:00 to the end.\n"
        "Fix: set train_until, valid_until and test_until in ascending order within the rows, or change the shares."
    )
    with pytest.raises(ValidationError, match="train_until and valid_until belong together"):
        TimeSplitSettings(train_until="1970-01-02")


def test_rows_of_an_earlier_split_are_never_held(make):
    stages = make(rows_of({"a": wave(60)}))

    assert not must_hold(stages[1], stages[0], TimeSplitSettings())


def test_each_segment_is_free_of_gaps_and_belongs_to_one_series(make):
    rows = rows_of({"a": wave(80), "b": wave(80)}, skip={"a": [20, 21, 40]})

    shards = make(rows, split={"valid": 0.2, "test": 0.2})[3]

    layout = json.loads((shards.path / "shards.json").read_text())
    assert layout["series"] == ["a", "b"]
    for entry in layout["files"]:
        segments = segments_of(shards, entry["split"])
        steps = [np.diff(segment["time"].to_numpy()) for segment in segments]
        assert {int(step) for part in steps for step in part} == {3_600_000_000}
        assert {len(set(segment["series"].to_pylist())) for segment in segments} == {1}
        assert entry["segments"] == len(segments)
        assert entry["rows"] == sum(segment.num_rows for segment in segments)
        assert entry["windows"] == sum(segment.num_rows - 5 for segment in segments)
    assert shards.summary["season"] == 24


def test_every_target_with_a_full_look_back_is_covered_by_one_split(make):
    rows = rows_of({"a": wave(80)}, skip={"a": [30]})

    shards = make(rows, split={"valid": 0.25, "test": 0.25})[3]

    targets = [row for split in SPLITS for segment in rows_in(shards, split) for row in segment[4:]]
    assert sorted(targets) == [*range(4, 30), *range(34, 79)]


def test_segments_too_short_for_a_window_are_left_out_and_counted(make):
    rows = rows_of({"a": wave(80)}, skip={"a": [5, 11, 40]})  # 5, then 5, then many rows

    shards = make(rows)[3]

    assert shards.summary["left_out"]["train"] == {"segments": 2, "rows": 10}
    assert shards.summary["warnings"] == [
        "left out 2 segments of the train rows (10 rows) that cannot hold look_back + horizon = 6 rows"
    ]


def test_a_split_in_which_no_window_fits_says_what_is_needed_and_what_is_there(make):
    assert error_of(make, rows_of({"a": wave(80)}, skip={"a": [30]}), window={"look_back": 29, "horizon": 3}) == (
        "E-SER-012 no window fits into the train rows: it takes look_back + horizon = 32 rows without a gap, and the "
        "longest of 2 segments has 30; steps of 1h are missing, such as after 1970-01-02T05:00:00 (1 gap).\n"
        "Fix: set shard.look_back = 27 and shard.horizon = 3, or less; or move the cuts of the split, or add rows."
    )


def test_strides_thin_out_the_windows(make):
    rows = rows_of({"a": wave(100)})

    windows = make(rows, window={"stride": 5, "evaluation_stride": 2})[3].summary["windows"]

    assert windows == {"train": 13, "valid": 5, "test": 10}


def test_covariates_lie_beside_the_values(make):
    rows = rows_of({"a": wave(60)}).with_columns(pl.col("row").cast(pl.Float64).alias("known.price"))

    shards = make(rows, scale={"calendar": ["hour"]})[3]

    segment = segments_of(shards, "train")[0]
    assert shards.summary["covariates"] == ["price", "hour_sin", "hour_cos"]
    assert segment.schema.field("covariates").type == pa.list_(pa.float32(), 3)
    assert segment["covariates"][0].as_py()[1:] == [0.0, 1.0]
    assert "covariates" not in segments_of(make(rows_of({"a": wave(60)}))[3], "train")[0].schema.names


def test_rows_with_missing_numbers_become_gaps(make):
    values = wave(60)
    values[20] = None

    _, _, encoded, shards = make(rows_of({"a": values}), scale={"missing": "cut"})

    assert encoded.summary["dropped"] == 1
    assert encoded.summary["warnings"] == ["cut out 1 row with a missing number"]
    assert [len(part) for part in rows_in(shards, "train")] == [20, 21]


def test_a_constant_channel_is_reported(make):
    encoded = make(rows_of({"a": [3.0] * 60}))[2]

    assert encoded.summary["warnings"] == ['constant in the training rows, so not scaled: "x"']


def test_a_number_that_the_training_scale_cannot_hold_is_refused(make):
    values = [1e-15 * value for value in wave(59)] + [1e30]

    assert error_of(make, rows_of({"a": values})) == (
        'E-SER-010 column "x": row 59 of the source (from 0), series "a", is out of range for 32-bit floats once '
        "scaled by the training rows.\nFix: correct the number, or set encode.method to another."
    )


def test_a_calendar_needs_times(make):
    rows = rows_of({"a": wave(60)}).with_columns(time=pl.int_range(60, dtype=pl.Int64))

    assert error_of(make, rows, scale={"calendar": ["hour"]}, grid=STEPS) == (
        "E-SER-011 encode.calendar names hour, but times are plain steps.\n"
        "Fix: remove encode.calendar, or set source.time_unit to what the times count."
    )


@pytest.mark.parametrize("missing", ["mean", "forward", "cut"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.dictionaries(st.sampled_from(EDITED), st.sampled_from([-50.0, 0.0, 1e6, None]), min_size=1, max_size=32)
)
def test_no_value_after_the_cut_changes_a_training_tensor(make, missing, edits):
    values = {"a": wave(80), "b": wave(80, seed=2)}
    values["a"][10] = None
    changed = {name: [edits.get(hour, value) for hour, value in enumerate(row)] for name, row in values.items()}

    assert training_bytes(make, values, missing) == training_bytes(make, changed, missing)


def test_the_property_finds_a_planted_leak(make):
    values = {"a": wave(80), "b": wave(80, seed=2)}
    changed = {"a": [*values["a"][:40], 9.0, *values["a"][41:]], "b": values["b"]}

    assert training_bytes(make, values, "mean") != training_bytes(make, changed, "mean")


def training_bytes(make, values: dict[str, list[float | None]], missing: str) -> tuple[bytes, bytes]:
    cuts = {"train_until": "1970-01-03", "valid_until": "1970-01-03T16:00"}
    method = {"mean": "standard", "forward": "robust", "cut": "minmax"}[missing]
    window = {"look_back": 2, "horizon": 1}  # so short that some fit between rows that were cut out
    stages = make(rows_of(values), split=cuts, scale={"missing": missing, "method": method}, window=window)
    return (stages[3].path / "train.arrow").read_bytes(), (stages[2].path / "scaler.json").read_bytes()


def test_appended_rows_leave_training_shards_as_they_were(make):
    cuts = {"train_until": "1970-01-02", "valid_until": "1970-01-02T12:00"}
    before = make(rows_of({"b": wave(48)}), split=cuts)
    late = rows_of({"a": wave(30)}).with_columns(pl.col("time") + timedelta(hours=48), pl.col("row") + 80)
    after = make(pl.concat([late, rows_of({"b": wave(80)})]), split=cuts)

    assert json.loads((after[3].path / "shards.json").read_text())["series"] == ["b", "a"]
    valid = [pl.read_parquet(one[1].file(ROWS_FILE)).filter(split=VALID) for one in (before, after)]
    assert valid[0].equals(valid[1])
    for stage, name in ((2, "scaler.json"), (3, "train.arrow"), (3, "valid.arrow")):
        assert (before[stage].path / name).read_bytes() == (after[stage].path / name).read_bytes()
    assert before[3].digest != after[3].digest


def test_whole_series_are_the_same_in_chunks_of_any_size(make):
    rows = rows_of({f"s{i:02}": wave(20 + 7 * i % 31) for i in range(40)})
    splits = make(rows)[1]

    chunks = list(read_windows(splits.file(ROWS_FILE), 60))

    assert len(chunks) > 10
    assert all(not set(one["series"]) & set(other["series"]) for i, one in enumerate(chunks) for other in chunks[:i])
    assert pl.concat(chunks).equals(next(read_windows(splits.file(ROWS_FILE))))
    assert pl.concat(chunks).drop("split").equals(rows)
    assert rows.height < CHUNK_ROWS
