"""Start a classifier from a language model that reads the same token ids.

Howard, Ruder 2018, https://arxiv.org/abs/1801.06146.
"""

from pathlib import Path

import torch

from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.language.language_model import LanguageModel
from rnnmodels.training.checkpoint import load_model

BACKWARD = ".directions.1."


@torch.no_grad()
def start_from_language_model(model: SequenceClassifier, folder: Path) -> None:
    """Copy the embedding and the encoder of a saved language model into a new classifier.

    A direction that the language model did not read in keeps its initial weights. Raises ValueError for a language
    model of other sizes.
    """
    source = load_model(LanguageModel, folder).state_dict()
    weights = model.state_dict()
    for name in weights:
        if name.startswith(("embedding.", "encoder.")) and BACKWARD not in name:
            if name not in source or source[name].shape != weights[name].shape:
                raise ValueError(
                    f"{name}: the language model has no such weights of shape {tuple(weights[name].shape)}"
                )
            weights[name] = source[name]
    model.load_state_dict(weights)
