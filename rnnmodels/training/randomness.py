"""A random stream of its own for training, so that nothing else that draws numbers can change a run."""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor


class RandomStream:
    """Torch's random state on the CPU and one device, kept apart from the global one."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        with self._forked():
            torch.manual_seed(seed)
            self.states = self._read()

    @contextmanager
    def active(self) -> Generator[None]:
        """Draw from this stream for the duration of a block; the global state is left as it was."""
        with self._forked():
            torch.set_rng_state(self.states["cpu"])
            if self.device.type == "cuda":
                torch.cuda.set_rng_state(self.states["cuda"], self.device)
            try:
                yield
            finally:
                self.states = self._read()

    def _forked(self) -> AbstractContextManager[None]:
        return torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else [])

    def _read(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states
