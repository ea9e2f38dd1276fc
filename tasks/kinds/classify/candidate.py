"""A classifier of texts as a candidate, which may start from a language model.

Fits depend on this module alone, and not on how a language model is prepared.
"""

from pydantic import Field

from tasks.labelled.fit import ClassifierCandidate

# How what fits start from says that it is a language model.
LANGUAGE_MODEL = "language_model"


class TextCandidate(ClassifierCandidate):
    """A classifier of texts to train, and how."""

    pretrained: bool = Field(
        False, description="Start from a language model of the same layers, fitted to all texts but the held ones."
    )
