"""What a model offers to whoever measures its memory: its cells, and a loss that sees nothing but their last states."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Probe:
    """A batch about to be read once more.

    cells: the recurrent cells that read it, by what people call them, such as `layer 1`; each is called once and with
    all rows. length_N: how often the cells step through each row; what comes after is padding. loss: reads the batch
    and returns the sum of the rows' losses, whose gradient comes to the last layer at the end of a row alone.
    stride: time steps that a cell takes at once.
    """

    cells: Mapping[str, nn.RNNBase]
    length_N: Tensor
    loss: Callable[[], Tensor]
    stride: int = 1


@contextmanager
def hooked(module: nn.Module, hook: Callable[..., object]) -> Generator[None]:
    """Let a hook change what a module returns, for the duration of a block."""
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
