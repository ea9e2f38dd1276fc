"""What the stages read of one another about series on a grid."""

from typing import Any

from tasks.contract.summaries import SplitSummary
from tasks.panel.summaries import OrderedSummary
from tasks.panel.time_grid import TimeGrid
from tasks.store.manifest import Summary


class GridSummary(Summary):
    """What is forecast, what is known in advance, and the grid that times lie on."""

    channels: list[str]
    covariates: list[str]
    grid: TimeGrid


class SeriesRowsSummary(OrderedSummary, GridSummary):
    """Rows from when to when, and the gaps in them."""

    first_time: str
    last_time: str
    gaps: dict[str, Any]


class CutSummary(SplitSummary, GridSummary):
    """Rows cut by time; `cuts` are the first times after each split, None where the test has no end."""

    cuts: dict[str, str | None]


class ScaledSummary(GridSummary):
    """Scaled rows, and the columns of which each series has a scale of its own."""

    scaled_by_series: list[str]


class WindowsSummary(GridSummary):
    """Windows of each split."""

    windows: dict[str, int]
