"""A classifier of texts as a candidate, which may start from language models.

Fits depend on this module alone, and not on how a language model is prepared.
"""

from typing import Self

from pydantic import Field, model_validator

from tasks.labelled.fit import ClassifierCandidate

# How what fits start from says that it is language models, and where in its folder their weights are.
LANGUAGE_MODELS = "language_models"
FOLDERS = (".", "backward")


class TextCandidate(ClassifierCandidate):
    """A classifier of texts to train, and how."""

    pretrained: bool = Field(
        False, description="Start from a language model per direction, of the same layers and all texts but held ones."
    )

    @model_validator(mode="after")
    def _shares_out_its_embedding(self) -> Self:
        model = self.model
        has_two = self.pretrained and model.bidirectional and model.cell != "transformer"
        if has_two and model.embedding_size % 2:
            raise ValueError(
                f"model.embedding_size: got {model.embedding_size}, expected an even number: each of the two language "
                "models has half of it"
            )
        return self
