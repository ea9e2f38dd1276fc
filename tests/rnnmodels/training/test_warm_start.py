from collections.abc import Sequence

import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnmodels.config import Architecture
from rnnmodels.training.warm_start import UNKNOWN, find_difference, take_over

PLACES = st.lists(st.integers(-1, 3), min_size=1, max_size=6)


@given(rows=PLACES, columns=PLACES)
def test_what_has_an_earlier_place_is_taken_from_there_and_all_else_stays(rows: Sequence[int], columns: Sequence[int]):
    initial, earlier = torch.randn(len(rows), len(columns)), torch.randn(4, 4)

    taken = take_over(initial, earlier, {0: rows, 1: columns})

    for row, then_row in enumerate(rows):
        for column, then_column in enumerate(columns):
            is_new = UNKNOWN in (then_row, then_column)
            assert taken[row, column] == (initial[row, column] if is_new else earlier[then_row, then_column])


def test_without_names_all_is_taken():
    initial, earlier = torch.zeros(2, 3), torch.randn(2, 3)

    assert torch.equal(take_over(initial, earlier, {}), earlier)
    assert not initial.any()


def test_what_training_alone_looks_at_makes_no_other_architecture():
    one = Architecture(hidden_size=4, head_dropout=0.5)

    assert find_difference(one, one.model_copy(update={"head_dropout": 0.1})) == ""
    assert find_difference(one, one.model_copy(update={"hidden_size": 8})) == "hidden_size = 8, not 4"
