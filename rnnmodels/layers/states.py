"""What a recurrent cell remembers: a hidden state, and for an LSTM its memory as well, each (1, rows, units)."""

from collections.abc import Callable

from torch import Tensor

State = Tensor | tuple[Tensor, Tensor]


def as_tuple(state: State | None) -> tuple[Tensor, ...]:
    """The tensors of a state: two for an LSTM, else one; none of no state."""
    if state is None:
        return ()
    return state if isinstance(state, tuple) else (state,)


def as_state(hidden_1NU: Tensor, memory_1NU: Tensor | None = None) -> State:
    """The state that has these tensors."""
    return hidden_1NU if memory_1NU is None else (hidden_1NU, memory_1NU)


def map_state(change: Callable[[Tensor], Tensor], state: State) -> State:
    """The state with each tensor changed."""
    return as_state(*map(change, as_tuple(state)))
