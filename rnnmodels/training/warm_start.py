"""What a new network takes over from an earlier one, where names along an axis of its weights are others now."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rnnmodels.config import Settings
from rnnmodels.training.sequence_model import AnyModel

UNKNOWN = -1
# What neither the shapes nor the meaning of weights depends on.
FREE = ("dropout", "noise", "teacher_forcing")


def find_difference(present: Settings, earlier: Settings) -> str:
    """Name a setting in which two architectures differ, as the earlier one has it; empty if their weights fit."""
    values, earlier_values = present.model_dump(mode="json"), earlier.model_dump(mode="json")
    for name, value in values.items():
        if not name.endswith(FREE) and value != earlier_values[name]:
            return f"{name} = {earlier_values[name]}, not {value}"
    return ""


def take_over(initial: Tensor, earlier: Tensor, ids_of: Mapping[int, Sequence[int]]) -> Tensor:
    """Earlier weights in the places that they have now; what has no earlier place keeps its initial weights.

    `ids_of` maps an axis to the earlier place of each present one along it, -1 for a new one; others are as they were.
    """
    places = []
    for axis, ids in ids_of.items():
        ids_N = torch.tensor(ids, dtype=torch.int64)
        earlier = earlier.index_select(axis, ids_N[ids_N != UNKNOWN])
        places.append((axis, torch.nonzero(ids_N != UNKNOWN).flatten()))
    return _put(initial, earlier, places)


def take_over_weights(
    model: AnyModel, earlier: dict[str, Tensor], ids_of: dict[str, tuple[int, Sequence[int]]]
) -> None:
    """Load earlier weights; `ids_of` says which layers, by the start of their names, have other names along an axis."""
    weights = model.state_dict()
    for name, weight in earlier.items():
        axes = [axis for prefix, axis in ids_of.items() if name.startswith(prefix)]
        is_named = bool(axes) and axes[0][0] < weight.ndim and "weight_hh" not in name
        weights[name] = take_over(weights[name], weight, dict(axes) if is_named else {})
    model.load_state_dict(weights)


def _put(initial: Tensor, part: Tensor, places: Sequence[tuple[int, Tensor]]) -> Tensor:
    """Put a part into a tensor, at the places of each axis in turn."""
    if not places:
        return part.clone()
    (axis, place_N), *others = places
    return initial.index_copy(axis, place_N, _put(initial.index_select(axis, place_N), part, others))
