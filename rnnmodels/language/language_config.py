"""Settings of a language model and of its training; imports no torch, so that commands start fast."""

from typing import Annotated, Literal

from pydantic import Field

from rnnmodels.config import CELLS, AnyCell, Optimization, TransformerArchitecture, batch_field


class LanguageArchitecture(TransformerArchitecture):
    """An encoder between an embedding and a softmax over the vocabulary, which reads in one direction."""

    cell: AnyCell = Field("lstm", description=CELLS)
    bidirectional: Literal[False] = Field(False, description="A language model may not see what it predicts.")
    hidden_size: int = Field(256, ge=1, le=8192, description="Width of the hidden state.")
    embedding_size: int = Field(64, ge=1, le=4096, description="Width of the token embedding.")
    embedding_dropout: float = Field(0.0, ge=0, lt=1, description="Share of vocabulary entries dropped per batch.")
    output_dropout: float = Field(
        0.2, ge=0, lt=1, description="Dropout with one mask for all time steps, before the softmax."
    )
    tied: bool = Field(
        False, description="The softmax uses the embedding; a projection bridges different widths of state and token."
    )
    direction: Literal["forward", "backward"] = Field(
        "forward", description="Order in which documents are read: each token from those before or after it."
    )


class LanguageTraining(Optimization):
    """How a language model is fitted: by backpropagation through chunks of parallel streams, whose state is carried.

    Merity, Keskar, Socher 2017, https://arxiv.org/abs/1708.02182 (random chunks, penalties of activations).
    """

    BATCH = "streams"
    LARGEST_BATCH = 32

    epochs: int = Field(10, ge=1, le=1000, description="Maximum number of epochs.")
    streams: Annotated[int, Field(ge=1, le=65_536)] | Literal["auto"] = batch_field(
        "Parallel streams", LARGEST_BATCH, "chunks"
    )
    bptt: int = Field(128, ge=1, le=65_536, description="Tokens of a chunk, through which gradients flow back.")
    random_bptt: bool = Field(False, description="Cut chunks at random places, each up to a quarter away.")
    reset_share: float = Field(
        0.02, ge=0, le=1, description="Share of streams that begin a chunk with an empty state, as a new text does."
    )
    activation_penalty: float = Field(
        0.0, ge=0, le=100, description="Weight of the squared activations of the last layer (AR)."
    )
    change_penalty: float = Field(
        0.0, ge=0, le=100, description="Weight of their squared changes from step to step (TAR)."
    )
    sampled_tokens: int = Field(
        0, ge=0, le=1_000_000, description="Tokens drawn per chunk for a sampled softmax; 0 for the whole vocabulary."
    )
