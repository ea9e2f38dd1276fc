"""A served detector judges files as it was evaluated, and goes on behind the rows that it has seen."""

import re

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from rnnmodels.layers.states import as_tuple
from tasks.contract.contest import Scored
from tasks.errors import InputError, IntegrityError
from tasks.kinds.detect.encode import LevelSettings
from tasks.kinds.detect.register import assemble_parts
from tasks.kinds.detect.served_detector import SeriesDetector
from tasks.sources.inputs import find_inputs
from tests.tasks.kinds.detect.conftest import (
    MORE,
    NUM_ROWS,
    SPIKE,
    WARM_UP,
    draw_more,
    draw_panel,
    served_in,
    unlabelled,
)

ANSWERS = ["series", "time", "value", "expected", "surprise", "is_anomaly", "alarm", "event", "status"]


class AnotherProcessor(TorchDispatchMode):
    """Rounds each number that a network computes by its place among the others, and by how many there are."""

    ROUNDED = frozenset(
        ["linear", "matmul", "rnn_tanh", "gru", "lstm", "tanh", "sigmoid", "lerp", "mean", "softplus", "add", "mul"]
    )

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **kwargs or {})
        if function.overloadpacket.__name__ in self.ROUNDED:
            for numbers in filter(torch.is_floating_point, as_tuple(result)):
                place = torch.arange(numbers.numel(), dtype=torch.float64).reshape(numbers.shape)
                numbers.mul_(1 + 1e-6 * torch.sin(1e3 * place + numbers.numel()))
        return result


def last(answers: pl.DataFrame, num_rows: int) -> pl.DataFrame:
    return answers.tail(num_rows).drop("event")


@pytest.mark.numeric
def test_a_whole_history_is_judged_as_it_was_evaluated(fitted, tmp_path):
    lineage, model = fitted
    assemble_parts(tmp_path / "parts", lineage, Scored(model=model, evaluation=model))
    detector = SeriesDetector.load(tmp_path / "parts")

    answers = detector.answer_frame(unlabelled())

    surprise = np.load(model.file("surprise.npy"))
    judged = answers["surprise"].is_not_null()
    assert answers.columns == ANSWERS
    assert answers.filter(judged)["surprise"].to_list() == surprise[judged.to_numpy()].tolist()
    assert judged.to_list() == ([False] * WARM_UP + [True] * (NUM_ROWS - WARM_UP)) * 2
    levels = np.load(model.file("forecasts.npy"))[:NUM_ROWS]
    assert answers["expected"][:NUM_ROWS].to_list() == detector.scaler.values("s1", levels)[:, 0].tolist()
    assert answers["value"].to_list() == unlabelled()["value"].to_list()
    assert answers.filter("alarm").select("series", "event").rows() == [("s1", 1), ("s2", 1)]
    assert answers.with_row_index().filter("is_anomaly")["index"].to_list() == [SPIKE, NUM_ROWS + SPIKE]
    assert answers["event"].count() == 2


@pytest.mark.numeric
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**16),
    num_rows=st.integers(1, MORE),
    spikes=st.lists(st.integers(0, MORE - 1), max_size=3),
    num_channels=st.sampled_from([1, 2]),
)
def test_at_once_in_two_calls_and_row_by_row_a_series_is_judged_alike_to_the_last_bit(
    detectors, seed, num_rows, spikes, num_channels
):
    served, name = detectors[num_channels], (1, 3)[num_channels - 1]
    history = unlabelled((name,), num_channels=num_channels)
    more = draw_more(seed, num_rows, channels=served.serving.channels, spikes=[row for row in spikes if row < num_rows])

    at_once = last(served.answer_frame(pl.concat([history, more])), num_rows)
    in_two_calls = last(served.answer_frame(more), num_rows)
    stream = served.stream(f"s{name}")
    row_by_row = [stream.update(time, values) for _, time, *values in more.iter_rows()]

    assert in_two_calls.equals(at_once)
    assert [one.surprise for one in row_by_row] == at_once["surprise"].to_list()
    assert [one.is_alarm for one in row_by_row] == at_once["alarm"].to_list()
    assert [one.is_anomaly for one in row_by_row] == at_once["is_anomaly"].to_list()
    assert [one.expected for one in row_by_row] == at_once.select("^expected.*$").rows()


@pytest.mark.numeric
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_they_are_on_a_processor_that_rounds_by_place_and_number_too(tmp_path, cell):
    with AnotherProcessor():
        served = served_in(tmp_path, unlabelled((1,)), cell=cell)
        more = draw_more(1, 13)
        at_once = last(served.answer_frame(pl.concat([unlabelled((1,)), more])), 13)
        in_two_calls = last(served.answer_frame(more), 13)
        stream = served.stream("s1")
        row_by_row = [stream.update(time, values) for _, time, *values in more.iter_rows()]
    elsewhere = served.answer_frame(more)

    assert in_two_calls.equals(at_once)
    assert [one.surprise for one in row_by_row] == at_once["surprise"].to_list()
    assert [one.expected for one in row_by_row] == at_once.select("expected").rows()
    assert not elsewhere["expected"].equals(at_once["expected"])


def test_an_event_that_goes_on_raises_no_second_alarm(make):
    table = draw_panel((1,))
    served = make(
        table.with_columns(value=pl.when(pl.int_range(pl.len()) == NUM_ROWS - 2).then(500.0).otherwise("value"))
    )
    more = draw_more(1, spikes=[2, 30])
    more = more.with_columns(
        value=pl.when(pl.int_range(pl.len()).is_in([2, 30])).then(pl.col("value") * 100).otherwise("value")
    )

    answers, stream = served.answer_frame(more), served.stream("s1")
    for _, time, value in more.iter_rows():
        stream.update(time, [value])

    # The gap is 6 rows.
    assert answers.with_row_index().filter("is_anomaly").select("index", "alarm", "event").rows() == [
        (2, False, 1),
        (30, True, 2),
    ]
    assert answers["event"].to_list()[:4] == [1, 1, 1, None]
    assert [(event.start, event.end) for event in stream.events[-2:]] == [
        (NUM_ROWS - 2, NUM_ROWS + 2),
        (NUM_ROWS + 30,) * 2,
    ]


def test_what_the_source_says_of_order_and_repeats_holds_for_new_files(detector, make):
    shuffled = draw_more(1).reverse()

    with pytest.raises(InputError, match="E-TIME-013"):
        detector.answer_frame(shuffled)

    sorting = make(draw_panel(), unsorted="sort", duplicates="last", expect_merged=True)
    assert sorting.answer_frame(pl.concat([shuffled, shuffled])).equals(sorting.answer_frame(draw_more(1)))


def test_rows_need_not_be_regular(detector):
    gappy = draw_more(1).gather([0, 1, 7, 30])

    assert detector.answer_frame(gappy)["surprise"].null_count() == 0


def test_a_series_it_does_not_know_is_judged_after_a_warm_up_of_its_own(detector):
    strange = unlabelled((7,)).with_columns(value=pl.col("value") * 1e6)

    answers = detector.answer_frame(strange)

    assert answers["surprise"].is_null().to_list() == [True] * WARM_UP + [False] * (NUM_ROWS - WARM_UP)
    assert answers.with_row_index().filter("alarm")["index"].to_list() == [SPIKE]
    # Its own training rows give its scale, so a factor changes nothing but the last digits.
    plain = detector.answer_frame(unlabelled((7,)))
    np.testing.assert_allclose(answers["expected"] / 1e6, plain["expected"], rtol=1e-5)


def test_series_are_judged_alike_alone_and_among_others(detector):
    table = pl.concat([unlabelled((1,)), draw_more(1).with_columns(id=pl.lit("s2")), unlabelled((7,))])

    together = detector.answer_frame(table)

    alone = [detector.answer_frame(part) for part in table.partition_by("id", maintain_order=True)]
    assert together.equals(pl.concat(alone))
    assert together["surprise"].null_count() == 2 * WARM_UP


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            unlabelled((1,)).head(WARM_UP),
            'E-DET-020 series "s1" has 60 rows, none later than 2026-03-04T07:30:00, the last time seen, and none '
            "that was judged: they belong to its warm-up, or lie before 2026-03-01T19:00:00, where the remembered rows "
            "begin.\nFix: provide rows later than 2026-03-04T07:30:00, or its whole history.",
        ),
        (
            unlabelled((7,)).head(70),
            'E-DET-020 series "s7" has 70 rows, of which 26 are its warm-up; expected at least 30 warm-up rows.\n'
            "Fix: provide more of its history, or leave the series out.",
        ),
        (
            unlabelled((1,)).with_columns(pl.col("time").dt.replace_time_zone("UTC")),
            'E-DET-021 column "time": times are instants, with an offset or a zone, expected times without a zone as '
            "in training.\nFix: write the times as in the training rows.",
        ),
        (
            draw_more(1).with_columns(value=pl.when(pl.int_range(pl.len()) > 0).then("value")),
            'E-SER-009 column "value": a number is missing at',
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused(detector, table: pl.DataFrame, message: str):
    with pytest.raises(InputError, match=re.escape(message)):
        detector.answer_frame(table)


def test_a_channel_that_is_not_there_is_named(make):
    wide = unlabelled((3,), num_channels=2).rename({"value": "oil", "value_1": "load"})
    long = wide.unpivot(index=["id", "time"], variable_name="sensor")
    served = make(long, channel_column="sensor", value_columns=("value",))

    assert served.answer_frame(long).columns[2:6] == [
        "value.load",
        "value.oil",
        "expected.load",
        "expected.oil",
    ]
    with pytest.raises(InputError, match='E-DET-022 channel "load" is missing, which the model was trained on'):
        served.answer_frame(long.filter(pl.col("sensor") == "oil"))


def test_a_channel_that_was_never_learned_is_left_out_and_said(make):
    own = unlabelled((3,), num_channels=2).unpivot(index=["id", "time"], variable_name="sensor", value_name="read")
    served, notes = make(own, channel_column="sensor", value_columns=("read",)), []
    more = draw_more(1, 4, channels=("value", "value_1")).unpivot(
        index=["id", "time"], variable_name="sensor", value_name="read"
    )
    foreign = more.filter(pl.col("sensor") == "value").with_columns(
        pl.col("time") + pl.duration(hours=1.5), sensor=pl.lit("hum")
    )

    answers = served.answer_frame(pl.concat([more, foreign]), notes=notes)

    assert answers.equals(served.answer_frame(more))
    assert notes == ['left out 4 rows of channels that the model never learned: "hum"']


def test_instants_are_shown_on_the_clocks_of_the_source(make):
    times = pl.col("time").dt.to_string("iso:strict")
    served = make(draw_panel((1,)).with_columns(times), time_zone="Europe/Berlin")

    answers = served.answer_frame(draw_more(1).with_columns(times))

    assert answers["time"].dt.to_string("%Y-%m-%dT%H:%M:%S%:z")[0] == "2026-03-04T08:00:00+01:00"
    with pytest.raises(InputError, match=r"E-DET-023 .* has 1.0 at 2026-03-04T07:30:00\+01:00, where"):
        served.answer_frame(unlabelled((1,)).tail(1).with_columns(times, value=pl.lit(1.0)))


def test_missing_numbers_are_filled_as_in_training_from_the_rows_before(make):
    served = make(draw_panel((1,)), {"encode": LevelSettings(missing="forward")})
    before = draw_panel((1,))["value"][-1]
    more = draw_more(1, 3)
    missing = more.with_columns(value=pl.when(pl.int_range(pl.len()) > 0).then("value"))

    answers = served.answer_frame(missing)

    assert answers["value"].to_list() == missing["value"].to_list()
    filled = served.answer_frame(missing.with_columns(pl.col("value").fill_null(before)))
    assert answers.drop("value").equals(filled.drop("value"))


def test_each_file_may_be_a_series(make, project):
    table = unlabelled((1,))
    served = make(table.drop("id"), id_column=None, one_series_per_file=True, label_column=None)
    more = draw_more(1).drop("id")

    in_frame = served.answer_frame(more.with_columns(series=pl.lit("rows.csv")))
    (project / "new").mkdir()
    more.write_csv(project / "new" / "rows.csv")
    in_file = served.answer_files(find_inputs(served.serving.settings_for(project / "new" / "rows.csv")))

    assert in_file.equals(in_frame)
    assert in_file["surprise"].null_count() == 0


def test_times_may_be_texts_or_times(detector):
    as_text = draw_more(1).with_columns(pl.col("time").dt.to_string("iso"))

    assert detector.answer_frame(as_text).equals(detector.answer_frame(draw_more(1)))


def test_plain_steps_are_gone_on_with(make):
    steps = pl.int_range(pl.len())
    served = make(draw_panel((1,)).with_columns(time=steps), {"encode": LevelSettings(calendar=())}, time_unit="step")

    answers = served.answer_frame(draw_more(1).with_columns(time=steps + NUM_ROWS))

    assert answers["time"].to_list()[0] == NUM_ROWS
    assert answers["surprise"].null_count() == 0


def test_a_damaged_memory_is_never_used(make, project):
    make(draw_panel((1,)))
    stored = project / "parts" / "recent.parquet"
    pl.read_parquet(stored).with_columns(pl.col("surprise") + 1).write_parquet(stored)

    with pytest.raises(IntegrityError, match="E-INT-001"):
        SeriesDetector.load(project / "parts")


def test_a_series_whose_name_is_new_is_said_to_be(detector):
    table, notes = unlabelled((1,)), []

    renamed = table.with_columns(id=pl.lit("1.0"))
    answers = detector.answer_frame(pl.concat([table, renamed]), notes=notes)

    assert notes == [
        f'1 series, such as "1.0", new to the detector: their first rows ({WARM_UP}) are assumed to be '
        "normal and are not judged"
    ]
    assert answers.filter(series="1.0", status="warm-up").height == WARM_UP
