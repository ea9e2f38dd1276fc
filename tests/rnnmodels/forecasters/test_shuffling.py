"""A shuffled range: each number once, evenly, in any part, at any size."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest

from rnnmodels.forecasters.windows import Shuffle


def order_of(size, **options):
    return Shuffle(size, **{"seed": 1} | options).take(0, size).tolist()


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 16, 97, 1000, 4097])
@pytest.mark.parametrize("seed", [0, 7])
def test_every_number_comes_exactly_once(size, seed):
    assert sorted(order_of(size, seed=seed)) == list(range(size))


def test_a_part_is_the_same_part_of_the_whole():
    shuffle = Shuffle(1000, seed=3, epoch=2)
    assert shuffle.take(300, 420).tolist() == shuffle.take(0, 1000).tolist()[300:420]
    assert shuffle.take(990, 1100).tolist() == shuffle.take(990, 1000).tolist()


def test_orders_repeat_by_seed_and_epoch_and_differ_otherwise():
    assert order_of(100) == order_of(100)
    assert len({tuple(order_of(100, seed=seed, epoch=epoch)) for seed in range(5) for epoch in range(5)}) == 25


def test_all_orders_of_a_few_numbers_are_about_equally_frequent():
    num_orders = 2400
    counts = dict.fromkeys(itertools.permutations(range(4)), 0)
    for epoch in range(num_orders):
        counts[tuple(order_of(4, epoch=epoch))] += 1
    expected = num_orders / math.factorial(4)
    # 23 degrees of freedom: 99.9% of truly random orders stay below 49.7.
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 49.7


def test_positions_and_neighbours_of_many_numbers_are_unrelated():
    order = np.array(order_of(200_000))
    bound = 4 / math.sqrt(len(order))
    assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < bound
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < bound
    counts = np.histogram2d(order, np.arange(len(order)), bins=20)[0]
    assert ((counts - 500) ** 2 / 500).sum() < 400 + 4 * math.sqrt(800)


def test_a_part_of_a_vast_range_costs_its_own_size():
    tracemalloc.start()
    numbers = Shuffle(10**15, seed=1).take(10**14, 10**14 + 1000)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(set(numbers.tolist())) == 1000
    assert 0 <= numbers.min() <= numbers.max() < 10**15
    assert peak_bytes < 200_000


def test_a_range_too_large_for_64_bits_is_refused():
    with pytest.raises(ValueError, match=r"^size: got 9223372036854775808, expected 0 to 4611686018427387904$"):
        Shuffle(2**63, seed=1)
