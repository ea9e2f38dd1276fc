"""Settings of a classifier of numeric sequences and of its training; imports no torch."""

from typing import Annotated, Literal

from pydantic import Field

from rnnmodels.config import ClassifierArchitecture, ClassifierTraining, RecurrentCell, batch_field


class SeriesArchitecture(ClassifierArchitecture):
    """A recurrent encoder between channels of numbers and a pooled linear head."""

    cell: RecurrentCell = Field("gru", description="Recurrent cell.")
    projection_size: int = Field(
        0, ge=0, le=4096, description="Width of a linear layer that channels pass first; 0 leaves it out."
    )
    input_noise: float = Field(
        0.1, ge=0, le=10, description="Deviation of noise added to scaled numbers in training; 0 disables it."
    )
    step_dropout: float = Field(0.0, ge=0, lt=1, description="Share of time steps set to 0 in training, all channels.")


class SeriesTraining(ClassifierTraining):
    """How a classifier of sequences is fitted."""

    BATCH = "batch_steps"
    LARGEST_BATCH = 1_000

    batch_steps: Annotated[int, Field(ge=1, le=10_000_000)] | Literal["auto"] = batch_field(
        "Padded time steps", LARGEST_BATCH, "sequences on average"
    )
