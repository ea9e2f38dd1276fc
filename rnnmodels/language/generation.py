"""Text written token by token: the state is carried, so a token costs the same however long the text has become.

Shapes: T time steps, B rows (here 1), V tokens of the vocabulary, K of them that may be drawn.
"""

import secrets
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from rnnmodels.language.next_token_model import NextTokenModel
from rnnmodels.language.sampling import Sampling
from rnnmodels.language.token_streams import BOUNDARY
from rnnmodels.layers.states import State
from rnnmodels.training.evaluation import evaluating

UNKNOWN = 1  # the id of every token outside the vocabulary


class TokenWriter:
    """A model at one text, after what it has read and written so far.

    `seed` is the one of its draws, and `has_ended` tells that the model closed the text before it was long enough;
    a model that learned no ends of texts may not end them.
    """

    def __init__(self, model: NextTokenModel, sampling: Sampling, *, may_end: bool = True) -> None:
        self.model = model
        self.sampling = sampling
        self.seed = secrets.randbits(31) if sampling.seed is None else sampling.seed
        self.device = next(model.parameters()).device
        self.generator = torch.Generator().manual_seed(self.seed)
        self.states: list[State] | None = None
        self.has_ended = False
        self.never = [UNKNOWN] if may_end else [UNKNOWN, BOUNDARY]
        self.read([BOUNDARY])

    def read(self, ids: Sequence[int]) -> None:
        """Read on by at least one token."""
        tokens_T1 = torch.tensor(ids, dtype=torch.int64, device=self.device)[:, None]
        with evaluating(self.model):
            logits_TBV, self.states = self.model.advance(tokens_T1, self.states)
            self.logits_V = logits_TBV[-1, 0].cpu()

    def write(self) -> Iterator[int]:
        """Yield ids one by one, never that of an unknown token, until the text ends or is long enough."""
        for position in range(self.sampling.length):
            token = choose_token(self.logits_V, self.sampling, self.generator, never=self.never)
            if token == BOUNDARY:
                self.has_ended = True
                return
            yield token
            if position + 1 < self.sampling.length:
                self.read([token])


def generate_ids(model: NextTokenModel, prompt: Sequence[int], sampling: Sampling) -> Iterator[int]:
    """Yield the ids that follow those of a prompt, which may be empty."""
    writer = TokenWriter(model, sampling)
    if prompt:
        writer.read(prompt)
    yield from writer.write()


def choose_token(
    logits_V: Tensor, sampling: Sampling, generator: torch.Generator, *, never: Sequence[int] = (UNKNOWN,)
) -> int:
    """Draw an id by its logit, but none that may `never` come; at temperature 0 take the likeliest.

    Source of `top_p`: Holtzman et al. 2020, https://arxiv.org/abs/1904.09751 (nucleus sampling).
    """
    likely_V = logits_V.double().index_fill(0, torch.tensor(never), -torch.inf)
    if sampling.temperature == 0:
        return int(likely_V.argmax())
    kept_K, ids_K = _keep_likeliest(likely_V, sampling)
    # The largest becomes 0 before it is divided, so that a tiny temperature overflows nothing.
    probabilities_K = ((kept_K - kept_K.max()) / sampling.temperature).softmax(0)
    if sampling.top_p < 1:
        likelier_K = probabilities_K.cumsum(0) - probabilities_K
        probabilities_K = probabilities_K.where(likelier_K < sampling.top_p, 0)
    return int(ids_K[probabilities_K.multinomial(1, generator=generator)])


def _keep_likeliest(logits_V: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Logits and ids of the tokens that `top_k` keeps, the likeliest first where that matters."""
    num_tokens = len(logits_V) - 1
    num_kept = min(sampling.top_k or num_tokens, num_tokens)
    if num_kept == num_tokens and sampling.top_p == 1:
        return logits_V, torch.arange(len(logits_V))
    return logits_V.topk(num_kept)
