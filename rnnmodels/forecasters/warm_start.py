"""Start from the weights of an earlier forecaster: channels and covariates may be others, or have other places.

Shapes of weights: U hidden units, S steps per segment, K values per step of a sequence, D covariates, H steps of the
horizon, P numbers per value.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from rnnmodels.forecasters.forecaster import SequenceForecaster
from rnnmodels.training.checkpoint import load_model
from rnnmodels.training.warm_start import UNKNOWN, find_difference, take_over


def start_from(
    model: SequenceForecaster, folder: Path, *, channel_ids: Sequence[int], covariate_ids: Sequence[int]
) -> str:
    """Copy a saved model's weights into a new one; returns how it differs, and then changes nothing.

    `channel_ids` and `covariate_ids` are the places in the saved model of each channel and covariate of the new one, -1
    for what it did not know: these keep their initial weights. The line stays as it was fitted to the new rows.
    """
    earlier = load_model(SequenceForecaster, folder)
    difference = _find_difference(model, earlier)
    if not difference:
        axes = _name_axes(model, earlier, channel_ids, covariate_ids)
        weights = dict(earlier.named_parameters())
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in weights:
                    ids_of = axes.get(name.partition(".")[2].partition(".")[2], axes.get(name, {}))
                    parameter.copy_(take_over(parameter, weights[name], ids_of))
    return difference


def _find_difference(model: SequenceForecaster, earlier: SequenceForecaster) -> str:
    difference = find_difference(model.architecture, earlier.architecture)
    for name in ("look_back", "horizon"):
        now, then = getattr(model.shape, name), getattr(earlier.shape, name)
        difference = difference or ("" if now == then else f"windows with {name} = {then}, not {now}")
    if not difference and _tells_channels_apart(model) != _tells_channels_apart(earlier):
        difference = (
            f"{earlier.shape.num_channels} channel(s), not {model.shape.num_channels}: one alone has no embedding"
        )
    return difference


def _tells_channels_apart(model: SequenceForecaster) -> bool:
    return any("channel_GE" in name for name, _ in model.named_parameters())


def _name_axes(
    model: SequenceForecaster, earlier: SequenceForecaster, channel_ids: Sequence[int], covariate_ids: Sequence[int]
) -> Mapping[str, Mapping[int, Sequence[int]]]:
    """For each weight whose axes have names the earlier place of each name along them."""
    architecture, num_outputs = model.architecture, 1 + model.output.num_widths
    values = channel_ids if model.is_joint else [0]
    num_values = earlier.shape.num_channels if model.is_joint else 1
    is_segment = architecture.decoder == "segment"
    steps_in = architecture.segment_length if is_segment else 1
    steps_out = {"segment": architecture.segment_length, "direct": model.shape.horizon, "pointwise": 1}
    known = [UNKNOWN if place == UNKNOWN else steps_in * num_values + place for place in covariate_ids]
    inputs = {1: [*_lay_out(steps_in, values, num_values), *known]}
    numbers = _lay_out(steps_out[architecture.decoder], values, num_values, num_outputs)
    of_step = _lay_out(1, values, num_values, num_outputs)
    return {
        "token.weight": inputs,
        "encoder.cells.0.weight_ih_l0": inputs,
        "decoder.cells.0.weight_ih_l0": inputs,
        "covariates.weight": {1: covariate_ids},
        "channel_GE": {0: channel_ids},
        "head.weight": {0: numbers},
        "head.bias": {0: numbers},
        "covariate_head.weight": {0: of_step},
        "covariate_head.bias": {0: of_step},
        "output.raw_freedom_C": {0: channel_ids},
    }


def _lay_out(num_steps: int, values: Sequence[int], num_values: int, num_numbers: int = 1) -> list[int]:
    """Earlier places of numbers that lie by step, by value within a step, and by number within a value."""
    return [
        UNKNOWN if value == UNKNOWN else (step * num_values + value) * num_numbers + number
        for step in range(num_steps)
        for value in values
        for number in range(num_numbers)
    ]
