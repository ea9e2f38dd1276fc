"""How far back a trained model remembers: the gradient of its loss in its own states, by distance from the end.

The state at time t is all that a cell hands on to step t + 1: h, and for an LSTM also c. The norm of dL/d(state t) says
how much of what the cell held at t is left in its last state. Norms that shrink geometrically are a memory that fades,
norms that grow a gradient that explodes: Pascanu, Mikolov, Bengio 2013, https://arxiv.org/abs/1211.5063.
What reaches a state by another way than the recurrence is left out. Pooling over time hands each state its share of the
gradient directly, and would hide that the cell forgets.
Shapes: T steps, N rows, F input features, U hidden units, P points at which states are kept.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnmodels.config import Optimization
from rnnmodels.layers.row_parallel import undivided
from rnnmodels.layers.states import State, as_tuple
from rnnmodels.memory.probe import Probe, hooked
from rnnmodels.training.device import one_thread
from rnnmodels.training.sequence_model import AnyModel, SequenceData

MASS = 0.95
LARGEST = float(np.finfo(np.float32).max)
# What bounds the time: states kept of each cell, rows, and batches among which that with the longest rows is taken.
MAX_POINTS, MAX_ROWS, MAX_BATCHES = 512, 32, 8


class CurveOfMemory(TypedDict):
    """A `MemoryCurve` as JSON values."""

    horizon: int
    lag: list[int]
    norm: list[float]


@dataclass(frozen=True)
class MemoryCurve:
    """Gradient norms of a cell's states: `norm[i]` at `lag[i]` time steps before the end, in units of that at lag 0."""

    lag: NDArray[np.int64]
    norm: NDArray[np.float64]

    @property
    def horizon(self) -> int:
        """The effective horizon: the lag, in steps, within which 95 % of the sum of all norms lie."""
        mass = np.cumsum(self.norm)
        return int(self.lag[np.searchsorted(mass, MASS * mass[-1])])

    def as_json(self) -> CurveOfMemory:
        """The horizon and the curve, norms to four digits."""
        norm = [float(f"{one:.4g}") for one in self.norm]
        return {"horizon": self.horizon, "lag": self.lag.tolist(), "norm": norm}


def measure_memory(model: AnyModel, data: SequenceData, training: Optimization) -> dict[str, MemoryCurve]:
    """Measure each recurrent cell on some rows, without dropout; a network without such cells has none.

    Rows are those of one batch: of a few drawn by the seed, that with the longest rows. Model and random state are left
    as they were, and one thread computes, so that equal models have equal curves.
    """
    batches = islice(data.batches(training.batch_size, seed=training.seed), MAX_BATCHES)
    offered = [model.probe(batch, training, max_rows=MAX_ROWS) for batch in batches]
    probes = [probe for probe in offered if probe is not None and probe.cells]
    if not probes:
        return {}
    was_training = model.training
    model.eval()
    try:
        with one_thread():
            return measure_curves(max(probes, key=lambda probe: int(probe.length_N.max())))
    finally:
        model.train(was_training)


def measure_curves(probe: Probe) -> dict[str, MemoryCurve]:
    """Read the batch of a probe once more, and measure its cells; one that the loss does not depend on is left out."""
    with torch.enable_grad(), _watched(probe) as watches:
        loss = probe.loss()
        states = [state for watch in watches.values() for states in watch.states for state in states]
        found = iter(torch.autograd.grad(loss, states, allow_unused=True, materialize_grads=True))
    length_N = probe.length_N.cpu().numpy()
    curves = {}
    for name, watch in watches.items():
        norms_PN = _norms(found, [len(states) for states in watch.states])
        curve = _average(np.array(watch.points), norms_PN, length_N)
        if curve.norm[0] > 0:
            curves[name] = MemoryCurve(curve.lag * probe.stride, curve.norm / curve.norm[0])
    return curves


@dataclass
class _Watch:
    """Has a cell read its input again from point to point, and keeps the states there, whose gradients can be asked."""

    points: list[int]
    states: list[tuple[Tensor, ...]] = field(default_factory=list)

    def __call__(self, cell: nn.RNNBase, inputs: tuple[Any, ...], _output: object) -> tuple[Tensor, State]:
        x_TNF, *given = inputs
        state: State | None = given[0] if given else None
        outputs = []
        *parts, padding_TNF = x_TNF.tensor_split([point + 1 for point in self.points])
        for part in parts:
            states_TNU, state = cell.forward(part, state)
            self.states.append(as_tuple(state))
            # What the layer above reads at a point is the very tensor that is handed on.
            outputs += [states_TNU[:-1], as_tuple(state)[0]]
        if len(padding_TNF):
            states_TNU, state = cell.forward(padding_TNF, state)
            outputs.append(states_TNU)
        assert state is not None, "a row has a step"
        return torch.cat(outputs), state


@contextmanager
def _watched(probe: Probe) -> Generator[dict[str, _Watch]]:
    """Watch the cells of a probe for the duration of a block."""
    length_N = probe.length_N.cpu().numpy()
    points = sorted({*range(int(length_N.max()) - 1, -1, -_stride(length_N)), *(length_N - 1).tolist()})
    watches = {name: _Watch(points) for name in probe.cells}
    with ExitStack() as stack:
        stack.enter_context(undivided())
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))  # it has no gradient outside of training
        for name, cell in probe.cells.items():
            stack.enter_context(hooked(cell, watches[name]))
        yield watches


def _norms(gradients: Iterator[Tensor], num_parts: Sequence[int]) -> NDArray[np.float64]:
    """Norms of the gradients in whole states, each of `num_parts` tensors, by point and row (P, N).

    One that float32 cannot hold counts as the largest that it can.
    """
    norms = [torch.cat(list(islice(gradients, number)), dim=-1).double().norm(dim=-1)[0] for number in num_parts]
    return np.nan_to_num(torch.stack(norms).cpu().numpy(), nan=LARGEST, posinf=LARGEST)


def _average(points_P: NDArray[np.int64], norms_PN: NDArray[np.float64], length_N: NDArray[np.int64]) -> MemoryCurve:
    """Average norms by lag over the rows that are so long; where points lie apart, lags are rounded up alike."""
    stride = _stride(length_N)
    lag_PN = length_N - 1 - points_P[:, None]
    is_real = lag_PN >= 0
    bins = -(-lag_PN[is_real] // stride)
    count = np.bincount(bins)
    total = np.bincount(bins, norms_PN[is_real])
    known = np.flatnonzero(count)
    return MemoryCurve(known * stride, total[known] / count[known])


def _stride(length_N: NDArray[np.int64]) -> int:
    """Steps from one point to the next."""
    return -(-int(length_N.max()) // MAX_POINTS)
