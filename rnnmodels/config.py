"""Settings of a recurrent model and of its training; imports no torch, so that commands start fast."""

import re
from abc import ABC
from bisect import bisect_left
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# What a batch size of `auto` is chosen by: updates of an epoch, and rows of an update.
ENOUGH_UPDATES, ENOUGH_ROWS = 30, 8


RecurrentCell = Literal["rnn", "gru", "lstm"]
AnyCell = Literal["rnn", "gru", "lstm", "transformer"]
CELLS = "Recurrent cell, or `transformer` for blocks of self-attention in its place."


def title_of(class_name: str) -> str:
    """Turn the name of a class into the heading of a form's section: `Time Split` of `TimeSplitSettings`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"(Settings|Recipe)$", "", class_name))


class Settings(BaseModel):
    """A frozen section of a recipe: unknown keys are refused, each field is described and bounded."""

    model_config = ConfigDict(frozen=True, extra="forbid", model_title_generator=lambda model: title_of(model.__name__))


class RecurrentArchitecture(Settings):
    """Stacked recurrent layers, whatever they read and whatever reads them; a subclass says which cells it can have."""

    cell: AnyCell = Field("gru", description="Recurrent cell.")
    nonlinearity: Literal["tanh", "relu"] = Field("tanh", description="Activation of the `rnn` cell; others ignore it.")
    hidden_size: int = Field(96, ge=1, le=8192, description="Width of the hidden state, per direction.")
    num_layers: int = Field(1, ge=1, le=16, description="Stacked recurrent layers.")
    bidirectional: bool = Field(False, description="Also read the sequence backwards, from its own last step.")
    locked_dropout: float = Field(
        0.2, ge=0, lt=1, description="Dropout with one mask for all time steps, at the input of each layer."
    )
    weight_dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of recurrent weights dropped per batch (DropConnect)."
    )
    longest_lag: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Steps that gates of a GRU or LSTM bridge from the start (chrono); 0 for none.",
    )


class TransformerArchitecture(RecurrentArchitecture):
    """Recurrent layers, or in their place a transformer to compare them with."""

    num_heads: int = Field(4, ge=1, le=64, description="Attention heads of a `transformer`; others ignore it.")
    context: int = Field(
        256,
        ge=1,
        le=100_000,
        description="Steps that a `transformer` looks back on; a bidirectional one sees the whole sequence.",
    )

    @model_validator(mode="after")
    def _divides_into_heads(self) -> Self:
        if self.cell == "transformer" and self.hidden_size % (2 * self.num_heads):
            raise ValueError(f"hidden_size: a transformer needs a multiple of 2 * num_heads = {2 * self.num_heads}")
        return self


class ClassifierArchitecture(RecurrentArchitecture):
    """A recurrent encoder below a pooled linear head."""

    pooling: Literal["last", "mean", "max", "concat", "attention"] = Field(
        "concat", description="How hidden states become one vector; `concat` joins last, mean and max."
    )
    head_dropout: float = Field(0.2, ge=0, lt=1, description="Dropout before the linear head.")


class Architecture(ClassifierArchitecture, TransformerArchitecture):
    """An encoder between an embedding and a pooled linear head."""

    cell: AnyCell = Field("gru", description=CELLS)
    embedding_size: int = Field(96, ge=1, le=4096, description="Width of the token embedding.")
    embedding_dropout: float = Field(0.1, ge=0, lt=1, description="Share of vocabulary entries dropped per batch.")
    ngram_ratios: int = Field(
        0,
        ge=0,
        le=5,
        description="Longest n-gram whose log-count ratio per class is an input of the network, next to the embedding "
        "of its last token; 0 for none. Memory grows with the training texts and the number of classes.",
    )


class Optimization(Settings, ABC):
    """How weights are found, whatever the model predicts.

    BATCH: the setting that says how much the loader puts into a batch. LARGEST_BATCH: what `auto` never exceeds.
    """

    BATCH: ClassVar[str]
    LARGEST_BATCH: ClassVar[int]

    epochs: int = Field(3, ge=1, le=1000, description="Maximum number of epochs.")
    learning_rate: float = Field(2e-3, gt=0, le=10, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(0.01, ge=0, le=10, description="Decoupled weight decay of AdamW.")
    schedule: Literal["one-cycle", "plateau", "constant"] = Field("one-cycle", description="Learning-rate schedule.")
    warmup_share: float = Field(0.3, gt=0, lt=1, description="Share of the one-cycle schedule spent rising.")
    clip_norm: float = Field(1.0, gt=0, le=1000, description="Gradients are scaled down to this global norm.")
    ema_decay: float = Field(0.0, ge=0, lt=1, description="Decay of averaged weights (bias-corrected); 0 for none.")
    patience: int = Field(2, ge=1, le=1000, description="Epochs without a lower validation loss before stopping.")
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of weights, batches and dropout.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="`auto` uses CUDA if available.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Arithmetic of the recurrent layers; `auto` uses bfloat16 where it is faster."
    )

    @property
    def batch_size(self) -> int:
        """How much the loader puts into a batch, in its own unit; `auto` counts as its largest."""
        size = getattr(self, self.BATCH)
        return self.LARGEST_BATCH if size == "auto" else size

    def rate_share(self, depth: int, epoch: int) -> float:  # noqa: ARG002 (a kind may train layers differently)
        """Share of the learning rate that the layer so far below the output has in an epoch, counted from 1."""
        return 1.0

    def settle(self, num_batches: Callable[[int], int]) -> Self:
        """Settle a batch size of `auto` by how many batches of some size an epoch of the training rows has.

        It is the largest size with 30 updates in an epoch; where batches would hold fewer than 8 rows on average, 8.
        """
        if getattr(self, self.BATCH) != "auto" or num_batches(self.LARGEST_BATCH) >= ENOUGH_UPDATES:
            return self.model_copy(update={self.BATCH: self.batch_size})
        enough = max(1, min(ENOUGH_UPDATES, num_batches(1) // ENOUGH_ROWS))
        sizes = range(1, self.LARGEST_BATCH + 1)
        too_large = bisect_left(sizes, True, key=lambda size: num_batches(size) < enough)
        return self.model_copy(update={self.BATCH: sizes[too_large - 1]})


def batch_field(unit: str, largest: int, rows: str) -> Any:  # noqa: ANN401 (as the field's own)
    """The field of a batch size that is a number of some units, or `auto`, which settles it by the training rows."""
    return Field(
        "auto",
        description=f"{unit} per batch; `auto` takes {largest:,}, or fewer, so that an epoch has {ENOUGH_UPDATES} "
        f"updates of at least {ENOUGH_ROWS} {rows}.",
    )


class ClassifierTraining(Optimization):
    """How a classifier is fitted, whatever it reads."""

    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target spread over all classes.")
    layer_rate_factor: float = Field(
        1.0, gt=0, le=1, description="Learning rate of each layer as a share of that of the layer above it."
    )
    gradual_unfreezing: bool = Field(
        False, description="Train the head alone in the first epoch, and one more layer from each epoch on."
    )

    def rate_share(self, depth: int, epoch: int) -> float:
        """Layers learn the slower the deeper they are, and rest until it is their turn.

        Howard, Ruder 2018, https://arxiv.org/abs/1801.06146 (discriminative fine-tuning, gradual unfreezing).
        """
        if self.gradual_unfreezing and depth >= epoch:
            return 0.0
        return self.layer_rate_factor**depth


class Training(ClassifierTraining):
    """How a classifier is fitted."""

    BATCH = "batch_tokens"
    LARGEST_BATCH = 14_000

    batch_tokens: Annotated[int, Field(ge=16, le=10_000_000)] | Literal["auto"] = batch_field(
        "Padded tokens", LARGEST_BATCH, "texts on average"
    )
    class_ratio_scale: float = Field(
        1.0,
        ge=0,
        le=10,
        description="One embedding column per class starts at the tokens' log-count ratio, times this; 0 disables it.",
    )
    adversarial_weight: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Weight of virtual adversarial training on texts without a label, which are to keep their classes "
        "when their embeddings move a little in the worst direction; 0 for none. It is part of the training loss.",
    )
    adversarial_radius: float = Field(
        0.03,
        gt=0,
        le=1,
        description="How far embeddings then move, as a share of the norm of a text's embeddings.",
    )
