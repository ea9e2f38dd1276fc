"""What the stages read of one another about series to watch."""

from tasks.contract.summaries import ModelSummary, SplitSummary
from tasks.panel.summaries import OrderedSummary
from tasks.panel.time_grid import Clock
from tasks.store.manifest import Summary


class WatchedSummary(Summary):
    """How many series of which channels, whether rows have labels, and the clock that their times are read on."""

    series: int
    channels: list[str]
    labelled: bool
    clock: Clock
    zone: str | None


class WatchedRowsSummary(OrderedSummary, WatchedSummary):
    """Rows as they were read."""


class WarmUpSummary(SplitSummary, WatchedSummary):
    """Rows divided into a warm-up and those to judge."""


class DetectorSummary(ModelSummary):
    """A detector, and from which surprise on a row is anomalous."""

    threshold: float
