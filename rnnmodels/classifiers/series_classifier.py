"""A sequence classifier that reads numbers: channels, an optional linear layer, recurrent encoder, pooling, head.

Shapes: T time steps, B batch, C channels, F input features, K classes.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from rnnmodels.classifiers.batches import Batch, Shards, check_values
from rnnmodels.classifiers.classifier import RecurrentClassifier
from rnnmodels.classifiers.series_config import SeriesArchitecture


class SeriesClassifier(RecurrentClassifier[SeriesArchitecture]):
    """Maps channels of numbers to class logits; in training, noise and dropped steps keep it from learning by heart."""

    def __init__(self, architecture: SeriesArchitecture, *, num_channels: int, num_classes: int, seed: int = 1) -> None:
        super().__init__(architecture, num_classes=num_classes)
        self.num_channels = num_channels
        self._build(seed)

    def _build_input(self) -> int:
        size = self.architecture.projection_size
        self.projection = nn.Linear(self.num_channels, size) if size else nn.Identity()
        return size or self.num_channels

    def forward(self, values_BTC: Tensor, length_B: Tensor) -> Tensor:
        """Return float32 logits (B, K) of scaled numbers."""
        x_TBC = self._disturb(values_BTC.transpose(0, 1).contiguous())
        return self.classify_embedded(self.projection(x_TBC), length_B)

    def _disturb(self, x_TBC: Tensor) -> Tensor:
        if not self.training:
            return x_TBC
        if self.architecture.input_noise:
            x_TBC = x_TBC + self.architecture.input_noise * torch.randn_like(x_TBC)
        if self.architecture.step_dropout:
            x_TBC = x_TBC * functional.dropout(torch.ones_like(x_TBC[..., :1]), self.architecture.step_dropout)
        return x_TBC

    def description(self) -> dict[str, object]:
        """Architecture and sizes."""
        return {
            "architecture": self.architecture.model_dump(mode="json"),
            "num_channels": self.num_channels,
            "num_classes": self.num_classes,
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Build a classifier from its architecture and sizes."""
        return cls(
            SeriesArchitecture(**description["architecture"]),
            num_channels=description["num_channels"],
            num_classes=description["num_classes"],
        )

    def check(self, data: Shards) -> None:
        """Raise ValueError naming the first row with other channels, an infinite number or an unknown class."""
        data.check_values(num_channels=self.num_channels, num_classes=self.num_classes)

    def check_steps(self, batch: Batch) -> None:
        """Raise ValueError naming the first row with other channels or an infinite number."""
        check_values(batch.steps, batch.row, self.num_channels)

    def draw_steps(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float32]:
        """Draw standard normal numbers of a shape, for each channel."""
        return generator.standard_normal((*shape, self.num_channels), dtype=np.float32)
