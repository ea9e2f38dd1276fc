"""A softmax over the targets of a chunk and some drawn tokens, in place of the whole vocabulary while training.

Jean et al. 2015, https://aclanthology.org/P15-1001. Shapes: N tokens, F features, V vocabulary, C candidates.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional


def sampled_cross_entropy(
    weight_VF: Tensor, bias_V: Tensor, features_NF: Tensor, target_N: Tensor, num_sampled: int
) -> Tensor:
    """Mean cross-entropy over the targets of all N tokens and `num_sampled` drawn ones.

    The logit of what a token is not followed by is raised by how rarely it is among the candidates, so that their sum
    is that of the whole vocabulary on average. Frequencies are taken to fall with ids by Zipf's law.
    """
    size = len(weight_VF)
    candidate_C, place_N = torch.cat([target_N, draw_tokens(size, num_sampled, target_N.device)]).unique(
        return_inverse=True
    )
    place_N1 = place_N[: len(target_N), None]
    logits_NC = functional.linear(features_NF, weight_VF[candidate_C], bias_V[candidate_C])
    # The chance to be among as many draws as there were, the texts' own included.
    chance_C = -torch.expm1(-(num_sampled + len(target_N)) * frequency_of(candidate_C, size))
    raised_NC = logits_NC - chance_C.log()
    own_N1 = logits_NC.gather(1, place_N1)
    return functional.cross_entropy(raised_NC.scatter(1, place_N1, own_N1), place_N1.flatten())


def draw_tokens(size: int, num_sampled: int, device: torch.device) -> Tensor:
    """Draw token ids (C,) with replacement by Zipf's law, the low ids most often."""
    uniform_C = torch.rand(num_sampled).to(device)
    return (torch.exp(uniform_C * math.log(size + 1)) - 1).long().clamp(max=size - 1)


def frequency_of(token_C: Tensor, size: int) -> Tensor:
    """Zipf's law as `draw_tokens` draws by it: shares that add up to 1."""
    rank_C = token_C.double() + 1
    return (torch.log1p(1 / rank_C) / math.log(size + 1)).float()
