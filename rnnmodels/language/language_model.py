"""Language models: an embedding, a recurrent encoder, and a softmax over what comes next.

Shapes: T time steps, S streams, F embedding, H hidden units, V vocabulary, N tokens of all steps and streams.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnmodels.language.generation import generate_ids
from rnnmodels.language.language_config import LanguageArchitecture, LanguageTraining
from rnnmodels.language.next_token_model import NextTokenModel, Read
from rnnmodels.language.sampled_softmax import sampled_cross_entropy
from rnnmodels.language.sampling import Sampling
from rnnmodels.language.scoring import validate_stream
from rnnmodels.language.token_streams import Chunk, Ids, TokenStream
from rnnmodels.layers.dropout import DropoutEmbedding, LockedDropout
from rnnmodels.layers.encoders import build_encoder
from rnnmodels.layers.states import State, as_state, as_tuple, map_state
from rnnmodels.memory.probe import Probe
from rnnmodels.training.sequence_model import SequenceModel, Validation

SAMPLE_LENGTH = 200
# A state moves little on small inputs; but an embedding that is the output layer, too, would start too sure of itself.
EMBEDDING_RANGE = {"tied": 0.1, "untied": 1.0}


class LanguageModel(SequenceModel[LanguageArchitecture, Chunk, TokenStream, LanguageTraining], NextTokenModel):
    """Predicts each token from those before it; in evaluation no stream changes what another is told.

    The initial weights are a function of the arguments alone; the global random state is left as it was. While it is
    trained, the states after a chunk are carried to the next.
    """

    def __init__(self, architecture: LanguageArchitecture, *, vocabulary_size: int, seed: int = 1) -> None:
        super().__init__()
        self.architecture = architecture
        self.vocabulary_size = vocabulary_size
        self._carried: list[State] | None = None
        # By which a sampled softmax draws; it is known from the training data, and no part of what is learned.
        self.token_shares: Tensor
        self.register_buffer("token_shares", torch.full((vocabulary_size,), 1 / vocabulary_size), persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(seed)
            self._build()

    def _build(self) -> None:
        size = self.architecture.embedding_size
        self.embedding = DropoutEmbedding(self.vocabulary_size, size, share=self.architecture.embedding_dropout)
        reach = EMBEDDING_RANGE["tied" if self.architecture.tied else "untied"]
        nn.init.uniform_(self.embedding.weight, -reach, reach)
        self.encoder = build_encoder(self.architecture, size)
        self.dropout = LockedDropout(self.architecture.output_dropout)
        bridges = self.architecture.tied and size != self.encoder.output_size
        self.bridge = nn.Linear(self.encoder.output_size, size, bias=False) if bridges else nn.Identity()
        self.output_bias = nn.Parameter(torch.zeros(self.vocabulary_size))
        self.output_weight = None
        if not self.architecture.tied:
            self.output_weight = nn.Parameter(torch.empty(self.vocabulary_size, self.encoder.output_size))
            nn.init.xavier_uniform_(self.output_weight)

    def output_layer(self) -> tuple[Tensor, Tensor]:
        """Weights (V, F), those of the embedding if they are tied, and biases (V,)."""
        return self.embedding.weight if self.output_weight is None else self.output_weight, self.output_bias

    def read(self, tokens_TS: Tensor, states: Sequence[State] | None = None) -> Read:
        """Read token ids, going on from `states`, or from a state of zeros."""
        hidden_TSH, after = self.encoder.advance(self.embedding(tokens_TS), states)
        with torch.autocast(tokens_TS.device.type, enabled=False):
            return Read(hidden_TSH, self.bridge(self.dropout(hidden_TSH.float())), after)

    def description(self) -> dict[str, object]:
        """Architecture and size."""
        return {
            "architecture": self.architecture.model_dump(mode="json"),
            "vocabulary_size": self.vocabulary_size,
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Build a language model from its architecture and size."""
        architecture = LanguageArchitecture(**description["architecture"])
        return cls(architecture, vocabulary_size=description["vocabulary_size"])

    def count_tokens(self, tokens: Ids) -> None:
        """Have a sampled softmax draw tokens as often as they are in a stream, and each now and then."""
        counts = np.bincount(tokens, minlength=self.vocabulary_size) + 1
        self.token_shares.copy_(torch.from_numpy(counts / counts.sum()))

    def check(self, data: TokenStream) -> None:
        """Raise ValueError naming the first token outside the vocabulary."""
        beyond = np.flatnonzero(data.tokens >= self.vocabulary_size)
        if len(beyond):
            raise ValueError(
                f"{data.place}: got token id {data.tokens[beyond[0]]} at {beyond[0]}, expected 0 to "
                f"{self.vocabulary_size - 1}"
            )

    def loss(self, batch: Chunk, training: LanguageTraining) -> Tensor:
        """Mean cross-entropy of a chunk's targets, in nats per token, with the penalties that `training` asks for."""
        tokens_TS, targets_TS = self.to_device(batch.tokens_TS), self.to_device(batch.targets_TS)
        states = self._states_before(batch, training)
        hidden_TSH, features_TSF, after = self.read(tokens_TS, states)
        self._carried = [map_state(Tensor.detach, state) for state in after]
        with torch.autocast(tokens_TS.device.type, enabled=False):
            loss = self._cross_entropy(features_TSF.flatten(0, 1), targets_TS.flatten(), training)
            if training.activation_penalty:
                loss = loss + training.activation_penalty * features_TSF.square().mean()
            if training.change_penalty and len(hidden_TSH) > 1:
                loss = loss + training.change_penalty * hidden_TSH.float().diff(dim=0).square().mean()
            return loss

    def validate(self, data: TokenStream, training: LanguageTraining) -> Validation:
        """Measure the cross-entropy of every token in nats per token and per character, and write a short text.

        Raises FloatingPointError for a loss that is not finite.
        """
        validation = validate_stream(self, data)
        sampling = Sampling(length=SAMPLE_LENGTH, seed=training.seed)
        written = list(generate_ids(self, (), sampling))
        in_order = written[::-1] if self.architecture.direction == "backward" else written
        return replace(validation, sample=in_order)

    def probe(self, batch: Chunk, training: LanguageTraining, *, max_rows: int) -> Probe:  # noqa: ARG002
        """Offer streams read from an empty state, with the loss of what comes after their last token alone."""
        tokens_TS = self.to_device(batch.tokens_TS[:, :max_rows])
        target_S = self.to_device(batch.targets_TS[-1, :max_rows])
        num_steps, num_rows = tokens_TS.shape

        def loss() -> Tensor:
            logits_SV = self.logits(self.read(tokens_TS).features[-1])
            return functional.cross_entropy(logits_SV, target_S, reduction="sum")

        return Probe(self.encoder.named_cells(), torch.full((num_rows,), num_steps), loss)

    def carried(self) -> dict[str, Tensor]:
        """The states that the next chunk goes on from, by layer and part.

        They hold bfloat16 exactly and as float32, from which another processor can go on that computes in either.
        """
        return {
            f"{layer}.{part}": value.float()
            for layer, state in enumerate(self._carried or [])
            for part, value in enumerate(as_tuple(state))
        }

    def carry(self, carried: Mapping[str, Tensor]) -> None:
        """Go on from the states of an interrupted epoch."""
        device = self.output_bias.device
        num_parts = sum(name.startswith("0.") for name in carried) or 1
        layers = [
            [carried[f"{layer}.{part}"].to(device) for part in range(num_parts)]
            for layer in range(len(carried) // num_parts)
        ]
        self._carried = [as_state(*parts) for parts in layers] or None

    def _cross_entropy(self, features_NF: Tensor, target_N: Tensor, training: LanguageTraining) -> Tensor:
        if training.sampled_tokens:
            return sampled_cross_entropy(
                self.output_layer(), features_NF, target_N, self.token_shares, training.sampled_tokens
            )
        return functional.cross_entropy(self.logits(features_NF), target_N)

    def _states_before(self, batch: Chunk, training: LanguageTraining) -> list[State] | None:
        """The carried states, some of them emptied, so that the beginnings of texts are learned, too."""
        if batch.first == 0 or self._carried is None:
            return None
        if training.reset_share == 0:
            return self._carried
        keeps_S1 = torch.rand(batch.tokens_TS.shape[1], 1) >= training.reset_share
        keeps_S1 = keeps_S1.to(self.output_bias.device)
        return [map_state(lambda part: part * keeps_S1, state) for state in self._carried]
