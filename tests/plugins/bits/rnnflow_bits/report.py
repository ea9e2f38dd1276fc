"""What the report and the dashboards show: what they show of every classifier, and a page that speaks of digits."""

import dataclasses
from functools import partial
from pathlib import Path

from tasks.labelled import report
from tasks.labelled.report import compare_by, compare_with_baseline, gather_details

__all__ = ["PRESENTATION", "compare_by", "compare_with_baseline", "draw_figures", "gather_details"]

PRESENTATION = dataclasses.replace(
    report.PRESENTATION,
    template=Path(__file__).with_name("report.html.j2"),
    trial=("label lines of 0s and 1s", "{predict} {example} answers.csv"),
)

draw_figures = partial(report.draw_figures, unit="digits")
