"""Anomalous rows near each other are one event, the same row by row as all at once."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.kinds.detect.events import (
    Event,
    EventTracker,
    count_gap_rows,
    find_events,
    find_threshold,
    mark_alarms,
)
from tasks.kinds.detect.settings import EventSettings


def test_the_threshold_is_fishers_tail_of_a_product_of_probabilities():
    assert find_threshold(1e-5, 1) == pytest.approx(5)
    decades = find_threshold(1e-5, 3)
    nats = decades * math.log(10)
    assert math.exp(-nats) * (1 + nats + nats**2 / 2) == pytest.approx(1e-5)


def test_rows_up_to_the_gap_apart_are_one_event():
    surprise = np.zeros(20)
    surprise[[3, 5, 8, 12]] = [7.0, 9.0, 8.0, 7.5]

    found = find_events(surprise, threshold=7.0, gap_rows=3)

    assert found == [Event(start=3, end=8, peak=5, surprise=9.0), Event(start=12, end=12, peak=12, surprise=7.5)]
    assert np.flatnonzero(mark_alarms(surprise, found)).tolist() == [3, 12]
    assert len(find_events(surprise, threshold=7.0, gap_rows=4)) == 1
    assert find_events(surprise, threshold=9.5, gap_rows=3) == []


def test_rows_of_the_warm_up_begin_and_lengthen_no_event():
    surprise = np.full(10, 9.0)

    assert find_events(surprise, threshold=7.0, gap_rows=1, first_row=8) == [Event(8, 9, 8, 9.0)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=60), st.integers(1, 5), st.integers(0, 20))
def test_row_by_row_and_at_once_find_the_same_events(surprise, gap_rows, first_row):
    values = np.array(surprise, float)
    tracker = EventTracker(threshold=4.0, gap_rows=gap_rows, first_row=first_row)
    begun = [first_row + row for row, value in enumerate(values[first_row:]) if tracker.update(value)]

    events = find_events(values, threshold=4.0, gap_rows=gap_rows, first_row=first_row)

    assert tracker.events == events
    assert begun == [event.start for event in events]


def test_a_row_without_a_surprise_is_no_event():
    tracker = EventTracker(threshold=4.0, gap_rows=1)

    assert [tracker.update(value) for value in (math.nan, 4.0)] == [False, True]


def test_the_gap_is_a_share_of_the_warm_up():
    assert count_gap_rows(EventSettings().gap_share, 604) == 60
    assert count_gap_rows(EventSettings().gap_share, 3) == 1  # neighbours
