"""What is reported of rows that have a time, whatever is learned from them."""

from tasks.store.manifest import Summary


class OrderedSummary(Summary):
    """What was done to rows of `channels` to put them in order; `missing` and `sentinels` count numbers by column."""

    channels: list[str]
    unsorted: int
    unsorted_explained: str
    duplicates: int
    missing: dict[str, int]
    sentinels: dict[str, int]
