"""Start from the weights of an earlier language model, whose tokens may be others, or have other ids."""

from collections.abc import Sequence
from pathlib import Path

from rnnmodels.language.language_model import LanguageModel
from rnnmodels.training.checkpoint import load_model
from rnnmodels.training.warm_start import find_difference, take_over_weights


def start_from(model: LanguageModel, folder: Path, *, token_ids: Sequence[int]) -> str:
    """Copy a saved model's weights into a new one; returns how its architecture differs, and then changes nothing.

    `token_ids` has for each token its id in the saved model, -1 for one that it did not know: these keep their initial
    weights.
    """
    earlier = load_model(LanguageModel, folder)
    difference = find_difference(model.architecture, earlier.architecture)
    if not difference:
        tokens = (0, token_ids)
        take_over_weights(model, earlier.state_dict(), {"embedding.": tokens, "output_": tokens})
    return difference
