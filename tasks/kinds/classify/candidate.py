"""A classifier of texts as a candidate, which may start from language models.

Fits depend on this module alone, and not on how a language model is prepared.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.labelled.fit import ClassifierCandidate

# How what fits start from says that it is language models, and where in its folder their weights are.
LANGUAGE_MODELS = "language_models"
FOLDERS = (".", "backward")


class TextCandidate(ClassifierCandidate):
    """A classifier of texts to train, and how."""

    pretrained: bool = Field(
        False,
        description="Start from one language model per direction, with the same layers, of the training texts and, by "
        "`encode.unlabelled`, those without a label.",
    )

    ratio_columns: int = Field(
        0,
        ge=0,
        le=1000,
        description="Columns of a pretrained embedding that belong to no language model: the first, one per class, "
        "start at log-count ratios.",
    )

    @property
    def directions(self) -> tuple[Literal["forward", "backward"], ...]:
        """In which its language models read; a transformer has one, which reads forwards."""
        has_two = self.model.bidirectional and self.model.cell != "transformer"
        return ("forward", "backward") if has_two else ("forward",)

    @property
    def pretrained_size(self) -> int:
        """Width of the embedding of each of its language models, which have equal shares of its own."""
        return (self.model.embedding_size - self.ratio_columns) // len(self.directions)

    @model_validator(mode="after")
    def _shares_out_its_embedding(self) -> Self:
        if self.ratio_columns and not self.pretrained:
            raise ValueError("ratio_columns: got a number without pretrained = true, where all columns are its own")
        num_models = len(self.directions)
        width = self.pretrained_size * num_models + self.ratio_columns
        if self.pretrained and not (self.pretrained_size > 0 and width == self.model.embedding_size):
            shares = "1 column" if num_models == 1 else f"{num_models} equal shares"
            raise ValueError(
                f"model.embedding_size: got {self.model.embedding_size}, expected at least {shares} next to "
                f"{self.ratio_columns} ratio_columns, for example {num_models * 64 + self.ratio_columns}"
            )
        return self
