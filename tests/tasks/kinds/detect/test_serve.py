"""Rows that come over HTTP: series go on from training, or from a state that the caller brings back."""

import contextlib
import copy
import json
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.contract.interface import RequestError
from tasks.kinds.detect import serve
from tasks.kinds.detect.recipe import DETECT
from tasks.kinds.detect.served_detector import SeriesDetector
from tasks.serving.questions import parse_question
from tasks.serving.settings import settings_for
from tests.tasks.kinds.detect.conftest import MORE, WARM_UP, draw_more, unlabelled

CAPS = settings_for(DETECT, {})
LABEL = "pumps/3"


def ask(detector: SeriesDetector, table: pl.DataFrame, **more: object) -> dict[str, Any]:
    """The answer to a table, both having travelled as JSON."""
    rows = json.loads(table.with_columns(pl.col("time").dt.to_string("iso:strict")).write_json())
    question = parse_question(serve.INTERFACE, json.dumps({"rows": rows, **more}).encode(), CAPS)
    [answer] = serve.answer_questions(detector, [question], CAPS, label=LABEL).answers
    if not isinstance(answer, dict):
        raise answer
    return json.loads(json.dumps(answer, allow_nan=False))


def ask_in_parts(detector: SeriesDetector, tables: list[pl.DataFrame]) -> list[dict]:
    """The answers to all rows, with the state of each call brought to the next."""
    rows, state = [], []
    for table in tables:
        answer = ask(detector, table, state=state, return_state=True)
        rows, state = rows + answer["rows"], answer["state"]
    return rows


def unnumbered(rows: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "event"} for row in rows]


@pytest.mark.numeric
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**16),
    spikes=st.lists(st.integers(0, MORE - 1), max_size=3),
    cuts=st.lists(st.integers(1, MORE - 1), max_size=6),
    num_channels=st.sampled_from([1, 2]),
)
def test_with_the_state_sent_along_parts_are_judged_as_all_rows_at_once_to_the_last_bit(
    detectors, seed, spikes, cuts, num_channels
):
    detector = detectors[num_channels]
    more = draw_more(seed, channels=detector.serving.channels, spikes=spikes)
    limits = sorted({0, *cuts, MORE})
    parts = [more[first:last] for first, last in pairwise(limits)]

    at_once, in_parts = ask(detector, more)["rows"], ask_in_parts(detector, parts)

    assert unnumbered(in_parts) == unnumbered(at_once)


@pytest.mark.numeric
def test_row_by_row_is_all_at_once_beyond_what_is_remembered(detector):
    """The detector remembers 122 rows."""
    more = draw_more(5, 130, spikes=(3, 4, 60, 125, 129))
    parts = [more[:110], *(more[row : row + 1] for row in range(110, 130))]

    assert unnumbered(ask_in_parts(detector, parts)) == unnumbered(ask(detector, more)["rows"])


def test_a_series_that_was_not_there_in_training_goes_on_as_well(detector):
    stranger = unlabelled((7,))

    at_once = ask(detector, stranger)["rows"]
    first = ask(detector, stranger[:150], return_state=True)

    assert first["notes"][0].startswith('1 series, such as "s7", new to the detector')
    later = ask(detector, stranger[150:], state=first["state"])
    assert later["notes"] == []
    # A warm-up of its own is a share of the rows that are there, so the first call decides how long it is.
    num_warm_up = [row["status"] for row in first["rows"]].count("warm-up")
    assert 0 < num_warm_up < WARM_UP == [row["status"] for row in at_once].count("warm-up")
    assert {row["status"] for row in later["rows"]} == {"judged"}


def test_a_state_is_as_small_as_what_came_after_training_and_remembers_all_series(detector):
    table = pl.concat([draw_more(1, 3), draw_more(2, 5).with_columns(id=pl.lit("s2"))])
    state = ask(detector, table, return_state=True)["state"]

    again = ask(detector, draw_more(1, 4)[3:], state=state, return_state=True)["state"]

    assert [(one["model"], one["series"], one["seen"], len(one["time"])) for one in state] == [
        (LABEL, "s1", 163, 3),
        (LABEL, "s2", 165, 5),
    ]
    assert [(one["series"], one["seen"]) for one in again] == [("s1", 164), ("s2", 165)]
    assert again[1] == state[1]
    assert "state" not in ask(detector, table)


def test_rows_that_were_judged_before_are_seen_and_may_not_change(detector):
    more = draw_more(1, 6)
    state = ask(detector, more[:4], return_state=True)["state"]

    answer = ask(detector, more[2:], state=state)
    changed = more[2:].with_columns(value=pl.lit(1.0))

    assert [row["status"] for row in answer["rows"]] == ["seen", "seen", "judged", "judged"]
    assert unnumbered(answer["rows"])[2:] == unnumbered(ask(detector, more)["rows"])[4:]
    assert refusal(detector, changed, state).code == "E-DET-023"


def refusal(detector: SeriesDetector, table: pl.DataFrame, state: list[dict]) -> RequestError:
    with pytest.raises(RequestError) as caught:
        ask(detector, table, state=state, return_state=True)
    return caught.value


def test_a_state_of_another_version_is_named(detector):
    more = draw_more(1, 2)
    state = ask(detector, more[:1], return_state=True)["state"]
    state[0]["model"] = "pumps/2"

    fault = refusal(detector, more[1:], state)

    assert (fault.place, fault.code) == ("state[0].model", "E-SRV-013")
    assert fault.problem == 'got a state of "pumps/2", and pumps/3 answers.'
    assert fault.fix == "send the rows from the beginning again, without a state."


WARM_UP_OF_ITS_OWN = {"rows": 60, "until": 0, "scales": {"value": {"centre": 0, "deviation": 1}}}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"seen": 150}, "counts other rows than it holds."),
        ({"time": [1, 2], "value": {"value": [1, 2]}}, "has columns of different lengths."),
        ({"value": {"oil": [1, 2, 3]}}, "has other channels than the model."),
        ({"time": [3, 2, 1]}, "has times that do not rise."),
        ({"warm_up": WARM_UP_OF_ITS_OWN}, "has a warm-up of its own, or none, other than its series."),
        ({"series": "s9"}, "has a warm-up of its own, or none, other than its series."),
        ({"series": "s9", "warm_up": WARM_UP_OF_ITS_OWN}, "counts other rows than it holds."),
    ],
)
def test_a_state_that_is_not_as_it_was_sent_is_refused(detector, changes: dict, problem: str):
    more = draw_more(1, 4)
    state = ask(detector, more[:3], return_state=True)["state"]

    fault = refusal(detector, more[3:], [state[0] | changes])

    assert (fault.place, fault.problem) == ("state[0]", problem)
    assert fault.fix.startswith("send it back as it came, or send the rows from the beginning again")


def test_two_states_of_a_series_are_refused(detector):
    more = draw_more(1, 4)
    state = ask(detector, more[:3], return_state=True)["state"]

    assert refusal(detector, more[3:], state * 2).place == "state[1].series"


ODD_NUMBERS = (-1, 0, 1, 2**40, 2**70, 1e-30, 1e300, -1e30, 0.5)
ODD = st.sampled_from([None, True, *ODD_NUMBERS, "", "s1", [], {}, [1.0], [None], {"value": []}]).map(copy.deepcopy)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(draw=st.data(), known=st.booleans())
def test_whatever_a_state_holds_it_is_answered_or_refused(detector, draw, known: bool):
    table = draw_more(1, 4) if known else unlabelled((7,))
    state = ask(detector, table[:-1], return_state=True)["state"]
    for _ in range(draw.draw(st.integers(1, 3))):
        holder: Any = state[0]
        while True:
            place = draw.draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
            if not isinstance(holder[place], dict | list) or not holder[place] or draw.draw(st.booleans()):
                break
            holder = holder[place]
        holder[place] = draw.draw(ODD)

    with contextlib.suppress(RequestError):
        assert ask(detector, table[-1:], state=state, return_state=True)["rows"]
