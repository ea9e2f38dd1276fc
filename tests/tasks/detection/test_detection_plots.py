"""The picture shows the series, where anomalies are, and where alarms rang."""

import io

import numpy as np

from tasks.detection.events import Event
from tasks.detection.plots import draw_detections


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
