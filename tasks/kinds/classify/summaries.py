"""What the stages read of one another about texts, beyond what they read about all labelled rows."""

from tasks.labelled.summaries import EncodedSummary


class EncodedTextsSummary(EncodedSummary):
    """Texts as ids of a vocabulary."""

    vocabulary_size: int
