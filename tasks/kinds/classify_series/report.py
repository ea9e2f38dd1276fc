"""What the report and the dashboards show of classifiers of sequences: what they show of every classifier."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.labelled import report
from tasks.labelled.report import compare_by, compare_with_baseline, gather_details

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PRESENTATION", "compare_by", "compare_with_baseline", "draw_figures", "gather_details"]

PRESENTATION = dataclasses.replace(
    report.PRESENTATION,
    template=Path(__file__).with_name("report.html.j2"),
    trial=("label sequences", "{predict} {example} answers.csv"),
)


def draw_figures(facts: dict) -> dict[str, "Figure"]:
    """Draw the plots of the page of a classifier, by name."""
    return report.draw_figures(facts, "steps")
