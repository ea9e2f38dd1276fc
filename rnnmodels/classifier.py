"""A sequence classifier: embedding, recurrent encoder, pooling, linear head.

Shapes: T time steps, B batch, F embedding features, H hidden units, P pooled features, K classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnmodels.batches import Batch, Shards
from rnnmodels.cells import RecurrentEncoder
from rnnmodels.config import Architecture, Training
from rnnmodels.dropout import DropoutEmbedding
from rnnmodels.inference import predict_shards, to_int64
from rnnmodels.pooling import Pooling
from rnnmodels.sequence_model import SequenceModel, Validation

EMBEDDING_RANGE = 0.1


class SequenceClassifier(SequenceModel):
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
        self.encoder = RecurrentEncoder(architecture, architecture.embedding_size)
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

    def description(self) -> dict[str, object]:
        """Architecture and sizes."""
        return {
            "architecture": self.architecture.model_dump(mode="json"),
            "vocabulary_size": self.vocabulary_size,
            "num_classes": self.num_classes,
        }

    @classmethod
    def from_description(cls, description: dict) -> "SequenceClassifier":
        """Build a classifier from its architecture and sizes."""
        return cls(
            Architecture(**description["architecture"]),
            vocabulary_size=description["vocabulary_size"],
            num_classes=description["num_classes"],
        )

    def check(self, data: Shards) -> None:
        """Raise ValueError naming the first row with a token or a class the model does not know."""
        data.check_ids(vocabulary_size=self.vocabulary_size, num_classes=self.num_classes)

    def loss(self, batch: Batch, training: Training) -> Tensor:
        """Mean cross-entropy, in nats, smoothed as `training` says."""
        device = self.head.weight.device
        logits_BK = self(to_int64(batch.tokens, device), to_int64(batch.length, device))
        target_B = to_int64(batch.target, device)
        return functional.cross_entropy(logits_BK, target_B, label_smoothing=training.label_smoothing)

    def validate(self, data: Shards, training: Training) -> Validation:
        """Measure cross-entropy (without smoothing) and accuracy."""
        predictions = predict_shards(self, data, batch_tokens=training.batch_tokens)
        logits_NK = torch.from_numpy(predictions.logits)
        target_N = torch.from_numpy(predictions.target.astype("int64"))
        loss = functional.cross_entropy(logits_NK, target_N).item()
        accuracy = (logits_NK.argmax(dim=1) == target_N).double().mean().item()
        return Validation(loss, {"accuracy": accuracy})
