"""Virtual adversarial training: a text must keep its classes when its embeddings move a little in the worst direction.

It needs no labels. Miyato, Dai, Goodfellow 2017, https://arxiv.org/abs/1605.07725, with one power iteration; the
distance is a share of the norm of the text's embeddings, which need no normalising then.
Shapes: T time steps, B batch, E embedding, K classes.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

# The first, random step, as a share of the distance.
FIRST_STEP_SHARE = 0.5
TINY = 1e-12

# Logits (B, K) of texts whose embeddings are moved by (T, B, E); by None, of the texts as they are.
Classify = Callable[[Tensor | None], Tensor]


def measure_virtual_adversarial_loss(
    model: nn.Module, classify: Classify, embedded_TBE: Tensor, *, radius: float
) -> Tensor:
    """Mean divergence, in nats, between the classes of texts and those of the same texts moved to the worst.

    `embedded_TBE` are the texts' embeddings, 0 at padding, which therefore never moves. Only the moved texts meet
    dropout, so that the loss also asks for the same classes with and without it.
    """
    is_real_TB1 = embedded_TBE.ne(0).any(dim=2, keepdim=True)
    distance_1B1 = radius * _norm(embedded_TBE)
    with without_dropout(model):
        with torch.no_grad():
            log_share_BK = classify(None).log_softmax(dim=1)
        step_TBE = torch.randn_like(embedded_TBE) * is_real_TB1
        step_TBE = FIRST_STEP_SHARE * distance_1B1 * step_TBE / (_norm(step_TBE) + TINY)
        step_TBE.requires_grad_()
        (worst_TBE,) = torch.autograd.grad(_divergence(log_share_BK, classify(step_TBE)).sum(), step_TBE)
    worst_TBE = worst_TBE * is_real_TB1
    worst_TBE = distance_1B1 * worst_TBE / (_norm(worst_TBE) + TINY)
    return _divergence(log_share_BK, classify(worst_TBE)).mean()


@contextmanager
def without_dropout(model: nn.Module) -> Generator[None]:
    """Switch dropout off for the duration of a block; cuDNN has gradients for cells in training mode alone."""
    switched = [module for module in model.modules() if module.training and not isinstance(module, nn.RNNBase)]
    for module in switched:
        module.training = False
    try:
        yield
    finally:
        for module in switched:
            module.training = True


def _divergence(log_share_BK: Tensor, logits_BK: Tensor) -> Tensor:
    """Kullback-Leibler divergence per text (B)."""
    return functional.kl_div(logits_BK.log_softmax(dim=1), log_share_BK, reduction="none", log_target=True).sum(dim=1)


def _norm(x_TBE: Tensor) -> Tensor:
    """Norm over all steps of a text (1, B, 1)."""
    return torch.linalg.vector_norm(x_TBE, dim=(0, 2), keepdim=True)
