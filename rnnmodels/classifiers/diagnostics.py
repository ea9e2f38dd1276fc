"""How far back in time gradients reach: the picture of vanishing and exploding gradients.

Shapes: T time steps, B batch, F embedding features.
"""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rnnmodels.classifiers.batches import Batch
from rnnmodels.classifiers.classifier import SequenceClassifier
from rnnmodels.classifiers.inference import to_device, to_int64


def gradient_norms_by_step(model: SequenceClassifier, batch: Batch) -> NDArray[np.float64]:
    """Return |dL/dx_t| of the token vectors by distance from each row's last token, averaged over rows (T).

    Entry 0 is the last token. Computed without dropout on a copy on the CPU, since cuDNN has no gradients then.
    """
    judge = copy.deepcopy(model).cpu().eval()
    device = torch.device("cpu")
    length_B = to_int64(batch.length, device)
    x_TBF = judge.embedding(to_device(batch.steps, device).T).detach().requires_grad_()
    loss = functional.cross_entropy(
        judge.classify_embedded(x_TBF, length_B), to_int64(batch.target, device), reduction="sum"
    )
    (gradient_TBF,) = torch.autograd.grad(loss, x_TBF)
    return _average_from_the_end(gradient_TBF.norm(dim=-1).numpy(), batch.length)


def _average_from_the_end(norms_TB: NDArray[np.float32], length_B: NDArray[np.integer]) -> NDArray[np.float64]:
    position_TB = length_B.astype(np.int64) - 1 - np.arange(int(length_B.max()))[:, None]
    norms_TB = np.take_along_axis(norms_TB, np.maximum(position_TB, 0), axis=0)
    return np.where(position_TB >= 0, norms_TB, 0).sum(axis=1) / (position_TB >= 0).sum(axis=1)
