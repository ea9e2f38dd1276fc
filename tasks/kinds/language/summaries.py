"""What the data stages of a language model report."""

from pydantic import Field

from tasks.contract.summaries import SplitSummary
from tasks.store.manifest import Summary

SPLITS = ("train", "valid", "test")


class DividedSummary(SplitSummary):
    """Documents by split, and how they were divided.

    divided: `official`, by `document`, or by `position` within each. test_is_valid: there are no test rows of their
    own, so that the validation rows stand for them. num_chars: characters by split.
    """

    divided: str
    test_is_valid: bool = False
    num_chars: dict[str, int]
    dropped: dict[str, int] = Field(default_factory=dict)
    num_held: int = 0


class EncodedTextSummary(Summary):
    """The vocabulary, and what each split holds; `note` says what the tokenizer leaves out of a text."""

    tokenizer: str
    vocabulary_size: int
    num_tokens: dict[str, int]
    num_chars: dict[str, int]
    oov_share: dict[str, float]
    note: str = ""


class StreamSummary(Summary):
    """Token streams: `rows` counts the documents, `num_targets` what a model predicts, by split."""

    tokenizer: str
    vocabulary_size: int
    num_targets: dict[str, int]
    num_chars: dict[str, int]

    @property
    def sizes(self) -> dict[str, int]:
        """What a model must know of the data to read and answer it."""
        return {"vocabulary_size": self.vocabulary_size}
