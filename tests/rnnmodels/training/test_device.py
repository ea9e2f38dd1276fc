"""Devices, arithmetic and threads."""

import pytest
import torch

from rnnmodels.config import Architecture, Training
from rnnmodels.training import device

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_cuda_where_there_is_none_is_refused_and_auto_takes_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ValueError, match=r"^device: got 'cuda', but this machine offers none; 'auto' would take the CPU$"
    ):
        device.resolve_device("cuda")
    assert device.resolve_device("auto") == CPU


def test_auto_takes_cuda_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.resolve_device("auto") == CUDA


@pytest.mark.parametrize(
    ("cell", "processor_has_it", "expected"),
    [("lstm", True, torch.bfloat16), ("lstm", False, torch.float32), ("gru", True, torch.float32)],
)
def test_auto_takes_bfloat16_on_a_cpu_only_where_it_is_faster(monkeypatch, cell, processor_has_it, expected):
    monkeypatch.setattr(device, "_cpu_multiplies_bfloat16", lambda: processor_has_it)
    assert device.resolve_precision(Training(), Architecture(cell=cell), CPU) == expected


def test_a_named_arithmetic_is_taken_as_it_is():
    assert device.resolve_precision(Training(precision="bfloat16"), Architecture(cell="gru"), CPU) == torch.bfloat16
    assert device.resolve_precision(Training(precision="float32"), Architecture(cell="lstm"), CPU) == torch.float32


def test_torch_uses_physical_cores_unless_told_otherwise(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(device.psutil, "cpu_count", lambda *, logical: 8 if logical else 4)
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    device.use_physical_cores()
    monkeypatch.delenv("OMP_NUM_THREADS")
    device.use_physical_cores()
    assert chosen == [4]


def test_where_processes_are_not_bound_to_cores_all_may_be_used(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(device.psutil, "cpu_count", lambda *, logical: 8 if logical else 4)
    monkeypatch.delattr(device.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(device.os, "cpu_count", lambda: 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    device.use_physical_cores()
    assert device.count_cores() == 3
    assert chosen == [3]


def test_for_a_while_one_thread_computes_and_then_as_many_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    with device.one_thread():
        inside = torch.get_num_threads()
    after = torch.get_num_threads()
    torch.set_num_threads(before)
    assert (inside, after) == (1, 3)
