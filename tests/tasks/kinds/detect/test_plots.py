"""The picture shows the series, where anomalies are, and where alarms rang."""

import io

import numpy as np

from tasks.kinds.detect.events import Event
from tasks.kinds.detect.plots import MAX_PIECES, draw_calibration, draw_detections, outline_rows


def test_the_picture_marks_true_windows_alarms_and_the_threshold():
    values = np.sin(np.arange(100.0))
    surprise = np.zeros(100)
    surprise[42] = 8.0
    figure = draw_detections(
        values,
        surprise,
        title="a $series$",
        threshold=7.0,
        events=[Event(42, 44, 42, 8.0), Event(80, 80, 80, 7.0)],
        windows=[(40, 49), (60, 65)],
        warm_up_rows=15,
    )
    above, below = figure.axes

    lines = {line.get_label(): line for line in above.lines}
    assert list(lines["alarm"].get_xdata()) == [42, 80]
    assert min(lines["alarm"].get_ydata()) > values.max()
    spans = sorted((patch.get_x(), patch.get_x() + patch.get_width()) for patch in above.patches)
    assert spans == [(0, 15), (40, 49), (60, 65)]
    assert list(below.lines[1].get_ydata()) == [7.0, 7.0]
    figure.savefig(io.BytesIO(), format="png")


def test_a_long_line_is_drawn_by_its_extremes():
    values = np.sin(np.arange(100_000.0))
    values[[123, 77_777]] = 9.0, -9.0

    rows = outline_rows(values)

    assert {123, 77_777} <= set(rows)
    assert len(rows) <= 2 * MAX_PIECES
    assert (np.diff(rows) > 0).all()
    assert rows.max() < len(values)
    assert outline_rows(values[:1000]).tolist() == list(range(1000))


def test_what_was_expected_is_drawn_below_the_series_and_rows_go_by_their_times():
    values, expected = np.arange(50.0), np.full(50, 7.0)

    figure = draw_detections(
        values,
        np.zeros(50),
        title="a",
        threshold=7.0,
        events=[],
        windows=[],
        warm_up_rows=15,
        expected=expected,
        name_row=lambda row: f"at {row}",
    )
    above, below = figure.axes

    assert [line.get_label() for line in above.lines] == ["expected", "value", "alarm"]
    assert above.lines[0].get_ydata().tolist() == expected.tolist()
    assert [label.get_text() for label in below.get_xticklabels()] == ["at 0", "at 16", "at 32", "at 49"]


def test_shares_of_nothing_have_no_mark():
    bins = [{"decades": d, "observed": share, "expected": 10.0**-d} for d, share in ((1, 0.2), (2, 0.05), (3, 0.0))]

    (axes,) = draw_calibration(bins).axes

    chance, rows = axes.lines
    assert (list(chance.get_xdata()), list(rows.get_xdata())) == ([1, 2, 3], [1, 2])
    axes.figure.savefig(io.BytesIO(), format="png")
