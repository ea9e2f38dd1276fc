"""What the stages of labelled rows report, whatever is labelled."""

from dataclasses import dataclass, field

import polars as pl
from pydantic import Field

from tasks.contract.summaries import SplitSummary
from tasks.store.manifest import Summary

SPLITS = ("train", "valid", "test")
# The split of rows that have no label, from which some candidates learn nevertheless; it may be missing.
UNLABELLED = "unlabelled"
LABELS_FILE = "labels.json"
# What helps where rows are mostly alike; the rows that a registered model was tested on stay as they are.
DIVIDE_ALIKE = (
    "if rows to come follow the same templates, set split.near_duplicates = false, and another name, under which no "
    "rows are held from an earlier training"
)


class LabelledRowsSummary(Summary):
    """Rows by official split, where the source has one."""

    splits: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What became of rows held from the split `origin`: counts by split, but for `renamed`, which maps labels to names.

    `other_label` rows have another label in the source, `conflicting` ones several, so that they keep theirs. The rows
    `aside` have one of the `gone_labels`; those that `left` went aside this time, those `returned` came back. Of the
    `new_labels` no row was held or trained on when the rows were divided first.
    """

    origin: str
    held: int
    other_label: dict[str, int] = field(default_factory=dict)
    swaps: dict[str, int] = field(default_factory=dict)
    conflicting: dict[str, int] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    aside: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    returned: dict[str, int] = field(default_factory=dict)
    gone_labels: list[str] = field(default_factory=list)
    new_labels: list[str] = field(default_factory=list)


class LabelledSplitSummary(SplitSummary):
    """Sorted `labels`, what became of rows held in place, and what labels are called now.

    groups: of nearly equal rows; as many as rows where none is nearly equal to another.
    """

    labels: list[str]
    groups: int | None = None
    held: Changes | None = None
    names: dict[str, str] = Field(default_factory=dict)

    @property
    def is_mostly_alike(self) -> bool:
        """Whether there are less than half as many groups as rows."""
        return self.groups is not None and 2 * self.groups < self.rows

    @property
    def target(self) -> pl.Expr:
        """The number of a row's class: the index of its `label` among the sorted labels."""
        return pl.col("label").cast(pl.Enum(self.labels)).to_physical().cast(pl.UInt16)


class EncodedSummary(Summary):
    """The classes, in the order of their numbers; how many ids there are, or the channels, where steps are numbers."""

    labels: list[str]
    vocabulary_size: int = 0
    channels: list[str] = Field(default_factory=list)

    @property
    def sizes(self) -> dict[str, int]:
        """What a model must know of the data to read and answer it."""
        steps = {"num_channels": len(self.channels)} if self.channels else {"vocabulary_size": self.vocabulary_size}
        return {**steps, "num_classes": len(self.labels)}
