"""Where and in which arithmetic a model runs: a function of the settings and the hardware, never of timing."""

import os
from collections.abc import Generator
from contextlib import contextmanager

import psutil
import torch

from rnnmodels.config import Optimization, RecurrentArchitecture


def resolve_device(name: str) -> torch.device:
    """Turn `auto`, `cpu` or `cuda` into a device; raises ValueError for CUDA where there is none."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: got 'cuda', but this machine offers none; 'auto' would take the CPU")
    return torch.device(name)


def resolve_precision(training: Optimization, architecture: RecurrentArchitecture, device: torch.device) -> torch.dtype:
    """Choose the arithmetic of the recurrent layers while training.

    `auto` takes bfloat16 on CUDA; on a CPU only for an LSTM and only where the processor multiplies
    bfloat16 itself: torch has one fused kernel for it, while the other cells run step by step and gain nothing.
    """
    if training.precision != "auto":
        return getattr(torch, training.precision)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if architecture.cell == "lstm" and _cpu_multiplies_bfloat16() else torch.float32


def use_physical_cores() -> None:
    """Let torch use one thread per physical core this process may run on, unless OMP_NUM_THREADS says otherwise."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(psutil.cpu_count(logical=False) or 1, count_cores()))


@contextmanager
def one_thread() -> Generator[None]:
    """Have torch compute in this thread alone for the duration of a block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def count_cores() -> int:
    """Logical cores this process may run on; macOS binds no process to some of them, so there it may use all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_multiplies_bfloat16() -> bool:
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
