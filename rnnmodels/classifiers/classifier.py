"""Sequence classifiers: recurrent encoder, pooling, linear head; and the one that reads tokens through an embedding.

Shapes: T time steps, B batch, F input features, H hidden units, P pooled features, K classes.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from rnnmodels.classifiers.adversarial import measure_virtual_adversarial_loss
from rnnmodels.classifiers.batches import Batch, Shards, check_tokens
from rnnmodels.classifiers.inference import LogitModel, predict_shards, to_device, to_int64
from rnnmodels.classifiers.ngram_ratios import NgramRatios
from rnnmodels.classifiers.paired import PairedBatch
from rnnmodels.config import Architecture, ClassifierArchitecture, ClassifierTraining, Training
from rnnmodels.layers.dropout import DropoutEmbedding
from rnnmodels.layers.encoders import build_encoder
from rnnmodels.layers.pooling import Pooling, is_real_step, last_states
from rnnmodels.memory.probe import Probe, hooked
from rnnmodels.training.sequence_model import SequenceModel, Validation

EMBEDDING_RANGE = 0.1

ArchitectureT = TypeVar("ArchitectureT", bound=ClassifierArchitecture)


class RecurrentClassifier(SequenceModel[ArchitectureT, Batch, Shards, ClassifierTraining], LogitModel):
    """Maps sequences to class logits; padding, batch-mates and batch size do not change them.

    The initial weights are a function of the arguments alone; the global random state is left as it was. A subclass
    says what turns a step into features, and calls `_build` last.
    """

    def __init__(self, architecture: ArchitectureT, *, num_classes: int) -> None:
        super().__init__()
        self.architecture = architecture
        self.num_classes = num_classes

    def _build(self, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(seed)
            input_size = self._build_input()
            self.encoder = build_encoder(self.architecture, input_size)
            self.pooling = Pooling(self.architecture, self.encoder.output_size)
            self.dropout = nn.Dropout(self.architecture.head_dropout)
            self.head = nn.Linear(self.pooling.output_size, self.num_classes)
            self._initialize()

    @abstractmethod
    def _build_input(self) -> int:
        """Make the layers below the encoder; returns the number of features they give."""

    def _initialize(self) -> None:
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @abstractmethod
    def forward(self, steps_BT: Tensor, length_B: Tensor) -> Tensor:
        """Return float32 logits (B, K); under autocast only the recurrent layers change their arithmetic."""

    def classify_batch(self, batch: Batch) -> Tensor:
        """Return the logits (B, K) of rows."""
        device = self.head.weight.device
        return self(to_device(batch.steps, device), to_int64(batch.length, device))

    @abstractmethod
    def draw_steps(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray:
        """Draw steps at random, any of which the model can read."""

    def layers_from_top(self) -> list[list[nn.Parameter]]:
        """The head with the pooling, each layer of the encoder, and what is below it."""
        layers = [list(layer.parameters()) for layer in reversed(self.encoder.layers)]
        head = [*self.head.parameters(), *self.pooling.parameters(), *self.encoder.top_weights()]
        named = {id(weight) for part in (head, *layers) for weight in part}
        return [head, *layers, [weight for weight in self.parameters() if id(weight) not in named]]

    def classify_embedded(self, x_TBF: Tensor, length_B: Tensor) -> Tensor:
        """Return the logits (B, K) of steps that have become features."""
        states_TBH = self.encoder(x_TBF, length_B)
        with torch.autocast(x_TBF.device.type, enabled=False):
            pooled_BP = self.pooling(states_TBH.float(), length_B)
            return self.head(self.dropout(pooled_BP))

    def loss(self, batch: Batch, training: ClassifierTraining) -> Tensor:
        """Mean cross-entropy, in nats, smoothed as `training` says."""
        logits_BK = self.classify_batch(batch)
        target_B = to_int64(batch.target, logits_BK.device)
        return functional.cross_entropy(logits_BK, target_B, label_smoothing=training.label_smoothing)

    def validate(self, data: Shards, training: ClassifierTraining) -> Validation:
        """Measure cross-entropy (without smoothing) and accuracy."""
        predictions = predict_shards(self, data, batch_steps=training.batch_size)
        logits_NK = torch.from_numpy(predictions.logits)
        target_N = torch.from_numpy(predictions.target.astype("int64"))
        loss = functional.cross_entropy(logits_NK, target_N).item()
        accuracy = (logits_NK.argmax(dim=1) == target_N).double().mean().item()
        return Validation(loss, {"accuracy": accuracy})

    def probe(self, batch: Batch, training: ClassifierTraining, *, max_rows: int) -> Probe | None:
        """Offer rows whose loss asks of the encoder's last states alone what it asks of all of them pooled."""
        rows = batch.take(slice(max_rows))

        def ask_last(_pooling: nn.Module, inputs: tuple[Tensor, Tensor], pooled_BP: Tensor) -> Tensor:
            last_BH = last_states(*inputs, self.architecture.hidden_size)
            last_BP = last_BH.repeat(1, pooled_BP.shape[1] // last_BH.shape[1])
            return pooled_BP.detach() + last_BP - last_BP.detach()

        def loss() -> Tensor:
            with hooked(self.pooling, ask_last):
                return self.loss(rows, training) * len(rows.row)

        cells = self.encoder.named_cells()
        return Probe(cells, torch.from_numpy(rows.length.astype("int64")), loss)


AnyClassifier: TypeAlias = RecurrentClassifier[Any]


class SequenceClassifier(RecurrentClassifier[Architecture]):
    """Maps token ids to class logits."""

    def __init__(
        self,
        architecture: Architecture,
        *,
        vocabulary_size: int,
        num_classes: int,
        seed: int = 1,
        num_ngrams: Sequence[int] | None = None,
    ) -> None:
        super().__init__(architecture, num_classes=num_classes)
        self.vocabulary_size = vocabulary_size
        self.ngrams = None
        if longest := architecture.ngram_ratios:
            sizes = {"vocabulary_size": vocabulary_size, "num_classes": num_classes}
            self.ngrams = NgramRatios(longest, **sizes, num_known=num_ngrams)
        self._build(seed)

    def _build_input(self) -> int:
        size = self.architecture.embedding_size
        self.embedding = DropoutEmbedding(self.vocabulary_size, size, share=self.architecture.embedding_dropout)
        return size if self.ngrams is None else self.ngrams.output_size + size

    def _initialize(self) -> None:
        nn.init.uniform_(self.embedding.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)
        super()._initialize()

    def forward(
        self,
        tokens_BT: Tensor,
        length_B: Tensor,
        row_B: Tensor | None = None,
        shift_TBE: Tensor | None = None,
    ) -> Tensor:
        """Return float32 logits (B, K) of token ids.

        `row_B` says that they are rows that it is trained on, and `shift_TBE` moves their embeddings.
        """
        x_TBF = self.embedding(tokens_BT.T)
        if shift_TBE is not None:
            x_TBF = x_TBF + shift_TBE
        if self.ngrams is not None:
            x_TBF = torch.cat([self.ngrams(tokens_BT, row_B), x_TBF], dim=2)
        return self.classify_embedded(x_TBF, length_B)

    def classify_batch(self, batch: Batch) -> Tensor:
        """Return the logits (B, K) of rows, in training without what was learned from their own texts."""
        device = self.head.weight.device
        tokens_BT, length_B, row_B = (to_int64(one, device) for one in (batch.steps, batch.length, batch.row))
        return self(tokens_BT, length_B, row_B if self.training else None)

    def loss(self, batch: Batch, training: ClassifierTraining) -> Tensor:
        """Mean cross-entropy in nats; where rows without a label come along, also what these ask of the network."""
        loss = super().loss(batch, training)
        if not (isinstance(batch, PairedBatch) and isinstance(training, Training)):
            return loss
        return loss + training.adversarial_weight * self._measure_adversarial_loss(batch.unlabelled, training)

    def _measure_adversarial_loss(self, batch: Batch, training: Training) -> Tensor:
        device = self.head.weight.device
        tokens_BT, length_B = to_int64(batch.steps, device), to_int64(batch.length, device)
        with torch.no_grad():
            embedded_TBE = self.embedding.weight[tokens_BT.T] * is_real_step(length_B, tokens_BT.shape[1])[..., None]

        def classify(shift_TBE: Tensor | None) -> Tensor:
            return self(tokens_BT, length_B, shift_TBE=shift_TBE)

        return measure_virtual_adversarial_loss(self, classify, embedded_TBE, radius=training.adversarial_radius)

    def description(self) -> dict[str, object]:
        """Architecture and sizes."""
        return {
            "architecture": self.architecture.model_dump(mode="json"),
            "vocabulary_size": self.vocabulary_size,
            "num_classes": self.num_classes,
            "num_ngrams": None if self.ngrams is None else self.ngrams.num_known,
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Build a classifier from its architecture and sizes."""
        return cls(
            Architecture(**description["architecture"]),
            vocabulary_size=description["vocabulary_size"],
            num_classes=description["num_classes"],
            num_ngrams=description.get("num_ngrams"),
        )

    def check(self, data: Shards) -> None:
        """Raise ValueError naming the first row with a token or a class the model does not know."""
        if self.ngrams is not None and not self.ngrams.is_learned:
            raise ValueError("ngram_ratios: none are known yet; first call model.ngrams.learn(train)")
        data.check_ids(vocabulary_size=self.vocabulary_size, num_classes=self.num_classes)

    def check_steps(self, batch: Batch) -> None:
        """Raise ValueError naming the first row with a token id outside the vocabulary."""
        check_tokens(batch.steps, batch.row, self.vocabulary_size)

    def draw_steps(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.int64]:
        """Draw token ids of a shape."""
        return generator.integers(0, self.vocabulary_size, shape)
