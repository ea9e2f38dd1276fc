"""Series that a served model cannot answer, kept apart from those that it can."""

from typing import NamedTuple

from tasks.errors import InputError


class Refusal(NamedTuple):
    """A series, and why it was not answered."""

    series: str
    error: InputError
