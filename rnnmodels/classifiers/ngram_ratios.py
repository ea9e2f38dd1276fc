"""How much more often an n-gram occurs in texts of one class than in those of others, as input of a network.

What a network reads of a text must be no surer than what it will read of new ones. While it trains, a text therefore
gets ratios that were counted without it: the training texts are cut into folds, and each reads those of all others.
Wang, Manning 2012, "Baselines and Bigrams", section 2.1 (log-count ratio over presence in a text).
Shapes: B batch, T time steps, L longest n-gram, G n-grams of one length, K classes, S folds, N texts, P pairs of
a text and an n-gram in it.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnmodels.classifiers.batches import Shards

# A rarer n-gram's ratio says more about chance than about the class.
MIN_TEXTS = 2
NUM_FOLDS = 10
# Ids below are padding and unknown tokens.
FIRST_TOKEN = 2
ABSENT = -1


class NgramRatios(nn.Module):
    """Gives each token the ratios of the n-grams that end with it; 0 for those that are rare in the training texts.

    The number of an n-gram is the place of all its tokens but the last among the n-grams of their length, times the
    size of the vocabulary, plus its last token; `keys` are the sorted numbers of those that are known.
    """

    def __init__(
        self, longest: int, *, vocabulary_size: int, num_classes: int, num_known: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.longest, self.vocabulary_size, self.num_classes = longest, vocabulary_size, num_classes
        self.is_learned = num_known is not None
        self.held_out: list[Tensor] = []
        for length, size in enumerate(num_known or [0] * longest, start=1):
            self.register_buffer(f"keys_{length}", torch.zeros(size, dtype=torch.int64))
            # The last row is read wherever an n-gram is absent.
            self.register_buffer(f"ratios_{length}", torch.zeros(size + 1, num_classes))

    @property
    def num_known(self) -> list[int]:
        """How many n-grams of each length are known."""
        return [len(self.get_buffer(f"keys_{length}")) for length in range(1, self.longest + 1)]

    @property
    def output_size(self) -> int:
        """Channels of a token."""
        return self.longest * self.num_classes

    def forward(self, tokens_BT: Tensor, row_B: Tensor | None = None) -> Tensor:
        """Return the ratios (T, B, L * K); training texts, whose rows are given, get those of the other folds."""
        channels, place_BT = [], torch.zeros_like(tokens_BT)
        for length in range(1, self.longest + 1):
            place_BT = self._find(self._number(place_BT, tokens_BT, length), length)
            if row_B is None:
                channels.append(self.get_buffer(f"ratios_{length}")[place_BT])
            else:
                ratios_SGK = self._held_out_on(tokens_BT.device)[length - 1]
                channels.append(ratios_SGK[find_fold(row_B)[:, None], place_BT])
        return torch.cat(channels, dim=2).transpose(0, 1)

    @torch.no_grad()
    def learn(self, train: Shards) -> None:
        """Count the n-grams of the training texts, the shorter ones first."""
        self.held_out, self.is_learned = [], True
        fold_N = find_fold(_join(block.row for block in train.blocks))
        target_N = _join(block.target for block in train.blocks)
        tokens = [torch.from_numpy(block.steps.astype(np.int64)) for block in train.blocks]
        places = [torch.zeros_like(tokens_BT) for tokens_BT in tokens]
        for length in range(1, self.longest + 1):
            numbers = [self._number(place, one, length) for place, one in zip(places, tokens, strict=True)]
            keys_G, text_P, place_P = find_frequent(numbers)
            ratios_GK, held_out_SGK = self._measure(fold_N[text_P], target_N[text_P], place_P, len(keys_G))
            self.register_buffer(f"keys_{length}", keys_G)
            self.register_buffer(f"ratios_{length}", ratios_GK)
            self.held_out.append(held_out_SGK)
            places = [self._find(number_BT, length) for number_BT in numbers]

    def _number(self, place_BT: Tensor, tokens_BT: Tensor, length: int) -> Tensor:
        """Number the n-grams that end at each token by the places of those one shorter; absent ones are negative."""
        is_real_BT = tokens_BT >= FIRST_TOKEN
        if length == 1:
            return tokens_BT.where(is_real_BT, ABSENT)
        num_shorter = len(self.get_buffer(f"keys_{length - 1}"))
        first_BT = nn.functional.pad(place_BT[:, :-1], (1, 0), value=num_shorter)
        is_whole_BT = is_real_BT & (first_BT < num_shorter)
        return (first_BT * self.vocabulary_size + tokens_BT).where(is_whole_BT, ABSENT)

    def _find(self, number_BT: Tensor, length: int) -> Tensor:
        """The places of n-grams among the known ones of their length; one past the last for all others."""
        keys_G = self.get_buffer(f"keys_{length}")
        if not len(keys_G):
            return torch.zeros_like(number_BT)
        place_BT = torch.searchsorted(keys_G, number_BT).clamp(max=len(keys_G) - 1)
        return place_BT.where(keys_G[place_BT] == number_BT, len(keys_G))

    def _measure(self, fold_P: Tensor, target_P: Tensor, place_P: Tensor, num_known: int) -> tuple[Tensor, Tensor]:
        """The ratios that all texts give (G + 1, K), and those that each fold reads (S, G + 1, K)."""
        counts_KG, held_out = self._count(target_P, place_P, num_known), []
        for fold in range(NUM_FOLDS):
            is_in_P = fold_P == fold
            own_KG = self._count(target_P[is_in_P], place_P[is_in_P], num_known)
            held_out.append(_with_absent(measure_ratios(counts_KG - own_KG)))
        return _with_absent(measure_ratios(counts_KG)), torch.stack(held_out)

    def _count(self, target_P: Tensor, place_P: Tensor, num_known: int) -> Tensor:
        """How many texts of each class hold each known n-gram (K, G)."""
        counts = torch.bincount(target_P * num_known + place_P, minlength=self.num_classes * num_known)
        return counts.view(self.num_classes, num_known)

    def _held_out_on(self, device: torch.device) -> list[Tensor]:
        """The ratios without each fold (S, G + 1, K), moved once."""
        if not self.held_out:
            raise ValueError("ngram_ratios: those for training are not stored; first call model.ngrams.learn(train)")
        if self.held_out[0].device != device:
            self.held_out = [ratios_SGK.to(device) for ratios_SGK in self.held_out]
        return self.held_out


def find_fold(row_B: Tensor) -> Tensor:
    """The fold of each training text: by a hash of its row, lest it be that of its label where labels take turns."""
    return ((row_B * 0x9E3779B1 & 0xFFFFFFFF) * NUM_FOLDS) >> 32


def find_frequent(numbers: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The numbers of n-grams that enough texts hold (G), and for each text with one of them its position and place (P).

    `numbers` has the n-grams that end at each token of the texts, block by block; absent ones are negative.
    """
    present = [number_BT != ABSENT for number_BT in numbers]
    starts = np.cumsum([0, *(len(number_BT) for number_BT in numbers)])
    text_P = torch.cat([start + where.nonzero()[:, 0] for start, where in zip(starts, present, strict=False)])
    number_P = torch.cat([number_BT[where] for number_BT, where in zip(numbers, present, strict=True)])
    keys_G, place_P = number_P.unique(return_inverse=True)
    pairs = (text_P * len(keys_G) + place_P).unique()
    text_P, place_P = pairs // max(len(keys_G), 1), pairs % max(len(keys_G), 1)
    is_frequent_G = torch.bincount(place_P, minlength=len(keys_G)) >= MIN_TEXTS
    is_kept_P = is_frequent_G[place_P]
    new_place_G = is_frequent_G.cumsum(dim=0) - 1
    return keys_G[is_frequent_G], text_P[is_kept_P], new_place_G[place_P[is_kept_P]]


def measure_ratios(counts_KG: Tensor, *, min_texts: int = MIN_TEXTS) -> Tensor:
    """Log of an n-gram's share of all n-grams of a class, smoothed by one text and centred over the classes (G, K).

    N-grams of too few texts have 0.
    """
    smoothed_KG = counts_KG.double() + 1
    log_share_KG = (smoothed_KG / smoothed_KG.sum(dim=1, keepdim=True)).log()
    centred_KG = log_share_KG - log_share_KG.mean(dim=0)
    return centred_KG.where(counts_KG.sum(dim=0) >= min_texts, 0.0).T.float().contiguous()


def _with_absent(ratios_GK: Tensor) -> Tensor:
    """Append a last row for n-grams that are not known (G + 1, K)."""
    return nn.functional.pad(ratios_GK, (0, 0, 0, 1))


def _join(parts: Iterable[NDArray[np.integer]]) -> Tensor:
    return torch.from_numpy(np.concatenate([part.astype(np.int64) for part in parts]))
