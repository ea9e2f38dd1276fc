"""A recurrent cell over parts of a batch at once, each part in a thread of its own.

torch shares out every small product of every step among its threads, which wait for each other each time. Rows never
meet inside a cell, so here each thread takes some of them through all steps, and all wait once.
Shapes: T time steps, N rows, F input features, U hidden units.
"""

import functools
import os
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from rnnmodels.layers.states import State, as_state, as_tuple

Tensors = Sequence[Tensor]

MIN_ROWS_PER_PART = 16  # with fewer, a thread waits for the weights longer than it computes
MIN_STEPS = 4  # with fewer, handing the parts out costs more than torch's own waiting
# What torch's own modules call, given weights.
FUNCTIONS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "LSTM": torch.lstm,
    "GRU": torch.gru,
    "RNN_TANH": torch.rnn_tanh,
    "RNN_RELU": torch.rnn_relu,
}
LSTM_ROWS_PER_PART = 32  # the fused kernel is fastest while the gates of a step stay in the cache

_DIVIDES = ContextVar("divides", default=True)


def run_cell(
    cell: nn.RNNBase, x_TNF: Tensor, state: State | None = None, weights: Tensors | None = None
) -> tuple[Tensor, State]:
    """Return what `cell(x_TNF, state)` returns: the hidden states (T, N, U) and the final state (1, N, U).

    `weights` take the place of the cell's own.
    """
    num_parts = _count_parts(cell, x_TNF.shape[1]) if _DIVIDES.get() else 1
    if num_parts == 1 or x_TNF.shape[0] < MIN_STEPS or x_TNF.device.type != "cpu":
        return call_cell(cell, x_TNF, state, weights)
    inputs = (x_TNF, *as_tuple(state))
    run = functools.partial(_run_part, cell, weights, torch.is_grad_enabled(), _autocast_type())
    used = cell.parameters() if weights is None else weights
    states_TNU, *final = _RunParts.apply(run, num_parts, len(inputs), *inputs, *used)
    return states_TNU, as_state(*final)


def call_cell(
    cell: nn.RNNBase, x_TNF: Tensor, state: State | None = None, weights: Tensors | None = None
) -> tuple[Tensor, State]:
    """Return what `cell(x_TNF, state)` returns, by its own weights or by others of their shapes."""
    if weights is None:
        return cell(x_TNF, state)
    start = x_TNF.new_zeros(1, x_TNF.shape[1], cell.hidden_size) if state is None else state
    if isinstance(cell, nn.LSTM) and state is None:
        start = (start, start)
    states_TNU, *final = FUNCTIONS[cell.mode](x_TNF, start, list(weights), True, 1, 0.0, cell.training, False, False)
    return states_TNU, as_state(*final)


@contextmanager
def undivided() -> Generator[None]:
    """Run cells on all rows at once for the duration of a block, so that who watches one sees a single graph."""
    token = _DIVIDES.set(False)
    try:
        yield
    finally:
        _DIVIDES.reset(token)


class _PartsContext(FunctionCtx):
    """What the gradients find of the forward pass: the weights, and each part's inputs and outputs."""

    weights: Tensors
    parts: list[Tensors]
    outputs: list[Tensors]


class _RunParts(torch.autograd.Function):
    """Runs parts of the rows and their gradients; those of the weights are summed in the order of the parts."""

    @staticmethod
    def forward(
        ctx: _PartsContext, run: Callable[[Tensors], Tensors], num_parts: int, num_inputs: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        inputs, ctx.weights = tensors[:num_inputs], tensors[num_inputs:]
        ctx.parts = [_as_leaves(parts, inputs) for parts in _split(inputs, num_parts)]
        ctx.outputs = list(_threads().map(run, ctx.parts))
        return tuple(_join(outputs) for outputs in zip(*ctx.outputs, strict=True))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: _PartsContext, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        used = {index: gradient for index, gradient in enumerate(gradients) if gradient is not None}
        outputs = [[part[index] for index in used] for part in ctx.outputs]
        given = _split(used.values(), len(outputs))
        wanted = [[*filter(_needs_gradient, part), *ctx.weights] for part in ctx.parts]
        found = zip(*_threads().map(torch.autograd.grad, outputs, wanted, given), strict=True)
        of_inputs = [_join(next(found)) if _needs_gradient(leaf) else None for leaf in ctx.parts[0]]
        return None, None, None, *of_inputs, *(functools.reduce(torch.add, parts) for parts in found)


def _run_part(
    cell: nn.RNNBase, weights: Tensors | None, with_gradient: bool, autocast_type: torch.dtype | None, part: Tensors
) -> Tensors:
    """Run a cell in another thread under the settings of the first, which are each thread's own."""
    with torch.set_grad_enabled(with_gradient), torch.autocast("cpu", autocast_type, enabled=autocast_type is not None):
        states_TNU, final = call_cell(cell, part[0], as_state(*part[1:]) if len(part) > 1 else None, weights)
    return states_TNU, *as_tuple(final)


def _count_parts(cell: nn.RNNBase, num_rows: int) -> int:
    parts = -(-num_rows // LSTM_ROWS_PER_PART) if isinstance(cell, nn.LSTM) else torch.get_num_threads()
    return max(1, min(parts, num_rows // MIN_ROWS_PER_PART))


def _autocast_type() -> torch.dtype | None:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None


def _split(tensors: Iterable[Tensor], num_parts: int) -> list[Tensors]:
    return list(zip(*(tensor.tensor_split(num_parts, dim=1) for tensor in tensors), strict=True))


def _join(parts: Tensors) -> Tensor:
    return torch.cat([part.detach() for part in parts], dim=1)


def _as_leaves(parts: Tensors, wholes: Tensors) -> list[Tensor]:
    return [
        part.detach().contiguous().requires_grad_(whole.requires_grad)
        for part, whole in zip(parts, wholes, strict=True)
    ]


def _needs_gradient(tensor: Tensor) -> bool:
    return tensor.requires_grad


def _threads() -> ThreadPoolExecutor:
    """The threads of this process: a fork starts with none of its parent's."""
    return _start_threads(os.getpid(), torch.get_num_threads())


@functools.cache
def _start_threads(_process: int, num_threads: int) -> ThreadPoolExecutor:
    started = threading.Barrier(num_threads + 1)

    def use_one_thread() -> None:
        torch.get_num_threads()  # at its first question a thread takes over the process's number, so ask before
        torch.set_num_threads(1)
        started.wait()

    threads = ThreadPoolExecutor(num_threads, "rows", initializer=use_one_thread)
    for _ in range(num_threads):
        threads.submit(int)
    started.wait()
    torch.set_num_threads(num_threads)  # what threads to come take over
    return threads
