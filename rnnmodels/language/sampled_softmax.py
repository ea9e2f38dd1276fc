"""A softmax over the targets of a chunk and some drawn tokens, in place of the whole vocabulary while training.

Jean et al. 2015, https://aclanthology.org/P15-1001. Shapes: N tokens, F features, V vocabulary, C candidates.
"""

import torch
from torch import Tensor
from torch.nn import functional


def sampled_cross_entropy(
    layer: tuple[Tensor, Tensor], features_NF: Tensor, target_N: Tensor, share_V: Tensor, num_sampled: int
) -> Tensor:
    """Mean cross-entropy over the targets of all N tokens and `num_sampled` drawn ones; `share_V` is how often each is.

    layer: weights (V, F) and biases (V,) that make logits. The logit of what a token is not followed by is raised by
    how rarely it is among the candidates, so that their sum is that of the whole vocabulary on average.
    """
    weight_VF, bias_V = layer
    drawn_C = share_V.multinomial(num_sampled, replacement=True)
    candidate_C, place_N = torch.cat([target_N, drawn_C]).unique(return_inverse=True)
    place_N1 = place_N[: len(target_N), None]
    logits_NC = functional.linear(features_NF, weight_VF[candidate_C], bias_V[candidate_C])
    # The chance to be among as many draws as there were, the chunk's own targets included.
    chance_C = -torch.expm1(-(num_sampled + len(target_N)) * share_V[candidate_C])
    raised_NC = logits_NC - chance_C.log()
    own_N1 = logits_NC.gather(1, place_N1)
    return functional.cross_entropy(raised_NC.scatter(1, place_N1, own_N1), place_N1.flatten())
