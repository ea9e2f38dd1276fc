"""What the stages read of one another about sequences, beyond what they read about all labelled rows."""

from tasks.labelled.summaries import LabelledSplitSummary
from tasks.panel.summaries import OrderedSummary


class StepsSummary(OrderedSummary):
    """Sequences and their steps, and the sequences left out since a row of theirs could not be read."""

    steps: int
    incomplete: list[str]


class SequenceSplitSummary(LabelledSplitSummary):
    """Divided sequences."""

    channels: list[str]
