"""Series that a served model cannot answer, kept apart from those that it can."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import polars as pl

from tasks.contract.table_model import Refusal
from tasks.errors import InputError, quoted

Answer = TypeVar("Answer")


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


def refuse_missing_channels(code: str, rows: pl.DataFrame, channels: Sequence[str]) -> None:
    """Raise InputError (with a kind's own code) if rows lack the column of a channel that a model was trained on."""
    missing = [name for name in channels if f"value.{name}" not in rows.columns]
    if missing:
        names = ", ".join(map(quoted, missing))
        subject = f"channel {names} is" if len(missing) == 1 else f"channels {names} are"
        raise InputError(
            code,
            f"{subject} missing, which the model was trained on.",
            fix="add what is missing, or name the channels as in training.",
        )
