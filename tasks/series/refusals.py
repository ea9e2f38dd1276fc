"""Series that a served model cannot answer, kept apart from those that it can."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import polars as pl

from tasks.errors import InputError

Answer = TypeVar("Answer")


class Refusal(NamedTuple):
    """A series, and why it was not answered."""

    series: str
    error: InputError


def answer_each(
    parts: Iterable[pl.DataFrame], answer: Callable[[pl.DataFrame], Answer], refusals: list[Refusal] | None
) -> Iterator[Answer]:
    """Answer the rows of one series after another.

    With a list `refusals` series that cannot be answered go there, and the first is raised only if none is left.
    """
    num_answered = 0
    for part in parts:
        try:
            answered = answer(part)
        except InputError as error:
            if refusals is None:
                raise
            refusals.append(Refusal(part["series"][0], error))
        else:
            num_answered += 1
            yield answered
    if refusals and not num_answered:
        raise refusals[0].error
