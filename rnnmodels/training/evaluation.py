"""A model as it is used once it is fitted: without dropout and without gradients."""

from collections.abc import Generator
from contextlib import contextmanager

import torch


@contextmanager
def evaluating(model: torch.nn.Module) -> Generator[None]:
    """Switch dropout and gradients off for the duration of a block."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)
