"""The random stream of a training run."""

import torch

from rnnmodels.training.randomness import RandomStream

CPU = torch.device("cpu")


def draw(stream):
    with stream.active():
        return torch.rand(3)


def test_draws_elsewhere_do_not_change_a_stream():
    quiet, disturbed = RandomStream(1, CPU), RandomStream(1, CPU)
    expected = [draw(quiet), draw(quiet)]
    actual = [draw(disturbed)]
    torch.rand(10)
    actual.append(draw(disturbed))
    assert torch.equal(torch.cat(actual), torch.cat(expected))
    assert not torch.equal(expected[0], expected[1])


def test_a_stream_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    draw(RandomStream(1, CPU))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_stream_continues_from_its_saved_state():
    stream = RandomStream(1, CPU)
    draw(stream)
    saved = dict(stream.states)
    expected = draw(stream)
    other = RandomStream(2, CPU)
    other.states = saved
    assert torch.equal(draw(other), expected)
