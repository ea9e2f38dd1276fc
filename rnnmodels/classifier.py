"""A sequence classifier: embedding, recurrent encoder, pooling, linear head.

Shapes: T time steps, B batch, F embedding features, H hidden units, P pooled features, K classes.
"""

import torch
from torch import Tensor, nn

from rnnmodels.cells import RecurrentEncoder
from rnnmodels.config import Architecture
from rnnmodels.dropout import DropoutEmbedding
from rnnmodels.pooling import Pooling

EMBEDDING_RANGE = 0.1


class SequenceClassifier(nn.Module):
    """Maps token ids to class logits; padding, batch-mates and batch size do not change them.

    The initial weights are a function of the arguments alone; the global random state is left as it was.
    """

    def __init__(self, architecture: Architecture, *, vocabulary_size: int, num_classes: int, seed: int = 1) -> None:
        super().__init__()
        self.architecture = architecture
        self.vocabulary_size = vocabulary_size
        self.num_classes = num_classes
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(seed)
            self._build()

    def _build(self) -> None:
        architecture = self.architecture
        self.embedding = DropoutEmbedding(
            self.vocabulary_size, architecture.embedding_size, share=architecture.embedding_dropout
        )
        self.encoder = RecurrentEncoder(architecture)
        self.pooling = Pooling(architecture)
        self.dropout = nn.Dropout(architecture.head_dropout)
        self.head = nn.Linear(self.pooling.output_size, self.num_classes)
        nn.init.uniform_(self.embedding.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens_BT: Tensor, length_B: Tensor) -> Tensor:
        """Return float32 logits (B, K); under autocast only the recurrent layers change their arithmetic."""
        return self.classify_embedded(self.embedding(tokens_BT.T), length_B)

    def classify_embedded(self, x_TBF: Tensor, length_B: Tensor) -> Tensor:
        """Return the logits (B, K) of token vectors."""
        states_TBH = self.encoder(x_TBF, length_B)
        with torch.autocast(x_TBF.device.type, enabled=False):
            pooled_BP = self.pooling(states_TBH.float(), length_B)
            return self.head(self.dropout(pooled_BP))
