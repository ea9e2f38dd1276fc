"""A small recipe that forecasts two waves, for benchmarks that run the product's stages."""

from pathlib import Path

import numpy as np
import pytest

RECIPE = """
name = "waves"
kind = "forecast"

[source]
time_unit = "step"
value_columns = ["a", "b"]

[split]
train_until = 160
valid_until = 200
test_until = 240

[shard]
look_back = 12
horizon = 4

[training]
epochs = 1
learning_rate = 1e-12

[[candidates]]
name = "tiny"
model = { hidden_size = 4, segment_length = 4, line_look_back = 6 }

[evaluate]
resamples = 100
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "waves.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def waves(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).normal(scale=0.3, size=(240, 2))
    rows = (f"{step},{np.sin(step / 3) + a},{np.cos(step / 5) + b}" for step, (a, b) in enumerate(noise))
    path = tmp_path / "waves.csv"
    path.write_text("\n".join(["time,a,b", *rows]))
    return path
