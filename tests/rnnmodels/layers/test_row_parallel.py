"""A batch in parts: the same states and gradients as in one piece, the same ones every time."""

import copy
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from rnnmodels.layers.row_parallel import run_cell
from rnnmodels.layers.states import as_tuple

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
NUM_STEPS, NUM_ROWS = 5, 75


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def run(function, name, *, with_state=True, precision=None):
    """All outputs and gradients of a cell that `function` runs."""
    torch.manual_seed(0)
    cell = CELLS[name](4, 6)
    x_TNF = torch.randn(NUM_STEPS, NUM_ROWS, 4, requires_grad=True)
    tensors = [torch.randn(1, NUM_ROWS, 6, requires_grad=True) for _ in range(2 if name == "lstm" else 1)]
    state = (tuple(tensors) if name == "lstm" else tensors[0]) if with_state else None
    with torch.autocast("cpu", precision, enabled=precision is not None):
        states_TNU, final = function(cell, x_TNF, state)
    outputs = [states_TNU, *as_tuple(final)]
    sum((output.float() * torch.arange(6)).square().sum() for output in outputs).backward()
    leaves = [x_TNF, *tensors] if with_state else [x_TNF]
    return outputs, [leaf.grad for leaf in (*leaves, *cell.parameters())]


def run_whole(cell, x_TNF, state):
    return cell(x_TNF, state)


def counting(function):
    """Count the calls of a cell, which says in how many parts the rows were run."""

    def run_counted(cell, x_TNF, state):
        calls = []
        cell.register_forward_hook(lambda *_: calls.append(torch.get_num_threads()))
        result = function(cell, x_TNF, state)
        counting.threads = calls
        return result

    return run_counted


@pytest.mark.numeric
@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize("name", CELLS)
def test_states_and_gradients_are_those_of_the_whole_batch(name, with_state):
    expected = run(run_whole, name, with_state=with_state)
    actual = run(counting(run_cell), name, with_state=with_state)
    assert counting.threads == [1] * (3 if name == "lstm" else 2)
    for one, other in zip(expected[0] + expected[1], actual[0] + actual[1], strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-4)


@pytest.mark.numeric
@pytest.mark.parametrize("name", CELLS)
def test_every_run_gives_the_same_bits(name):
    first = run(run_cell, name)
    for _ in range(5):
        again = run(run_cell, name)
        assert all(torch.equal(one, other) for one, other in zip(first[0] + first[1], again[0] + again[1], strict=True))


def test_threads_compute_in_the_precision_of_the_caller():
    whole, parts, exact = (
        run(function, "lstm", precision=precision)[0][0]
        for function, precision in ((run_whole, torch.bfloat16), (run_cell, torch.bfloat16), (run_cell, None))
    )
    assert whole.dtype == parts.dtype == torch.bfloat16
    assert exact.dtype == torch.float32
    torch.testing.assert_close(parts, whole, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_without_gradients_none_are_prepared(context):
    cell = nn.GRU(4, 6)
    recorded = []
    cell.register_forward_hook(lambda _cell, _inputs, output: recorded.append(output[0].requires_grad))
    with context():
        states_TNU, _ = run_cell(cell, torch.randn(NUM_STEPS, NUM_ROWS, 4))
    assert recorded == [False, False]
    assert not states_TNU.requires_grad


def test_outputs_that_nothing_depends_on_need_no_gradient():
    cell, x_TNF = nn.LSTM(4, 6), torch.randn(NUM_STEPS, NUM_ROWS, 4)
    run_cell(cell, x_TNF)[1][0].sum().backward()
    gradient = cell.weight_hh_l0.grad.clone()
    cell.zero_grad()
    cell(x_TNF)[1][0].sum().backward()
    torch.testing.assert_close(gradient, cell.weight_hh_l0.grad)


@pytest.mark.parametrize(
    ("num_steps", "num_rows", "num_parts"), [(5, 1, 1), (5, 31, 1), (5, 32, 2), (5, 448, 2), (3, 448, 1)]
)
def test_a_few_rows_and_a_few_steps_stay_together(num_steps, num_rows, num_parts):
    with torch.no_grad():
        counting(run_cell)(nn.GRU(4, 6), torch.randn(num_steps, num_rows, 4), None)
    assert len(counting.threads) == num_parts


def test_the_number_of_threads_stays_for_the_caller_and_for_threads_to_come():
    run(run_cell, "gru")
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(torch.get_num_threads).result() == 2


def test_a_forked_process_starts_threads_of_its_own():
    run(run_cell, "gru")
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # a child that waits for its parent's threads would wait for ever
        with torch.no_grad():
            run_cell(nn.GRU(4, 6), torch.randn(NUM_STEPS, NUM_ROWS, 4))
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.parametrize("cell", [nn.LSTM(5, 8), nn.GRU(5, 8), nn.RNN(5, 8), nn.RNN(5, 8, nonlinearity="relu")])
@pytest.mark.parametrize("num_rows", [3, 80])
def test_other_weights_take_the_place_of_the_cells_own(cell, num_rows):
    other = [torch.randn_like(weight, requires_grad=True) for weight in cell.all_weights[0]]
    twin = copy.deepcopy(cell)
    with torch.no_grad():
        for own, weight in zip(twin.all_weights[0], other, strict=True):
            own.copy_(weight)
    x = torch.randn(6, num_rows, 5)
    expected, _ = twin(x)
    states, _ = run_cell(cell, x, weights=other)
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)
    expected.square().sum().backward()
    states.square().sum().backward()
    for own, weight in zip(twin.all_weights[0], other, strict=True):
        torch.testing.assert_close(weight.grad, own.grad, atol=1e-3, rtol=1e-4)
