"""Which values are texts that a model can read; this module travels with registered models."""

import re
from collections.abc import Sequence

from tasks.errors import InputError, quoted

MAX_CHARACTERS = 1_000_000
SURROGATE = re.compile("[\ud800-\udfff]")


def fault_of_text(text: object, *, max_characters: int = MAX_CHARACTERS) -> str | None:
    """Say why a value cannot be read; None if it can."""
    if not isinstance(text, str):
        return "got null, expected a text" if text is None else f"got {type(text).__name__}, expected a text"
    if len(text) > max_characters:
        return f"got {len(text):,} characters, expected at most {max_characters:,}"
    if SURROGATE.search(text):
        return f"got half a surrogate pair in {quoted(text)}, expected valid Unicode"
    return None


def check_texts(texts: Sequence[object]) -> None:
    """Refuse a list that holds anything but readable texts.

    Raises InputError (E-TEXT-001) naming the first.
    """
    for index, text in enumerate(texts):
        fault = fault_of_text(text)
        if fault is not None:
            raise InputError("E-TEXT-001", f"text {index}: {fault}.", fix="leave this text out or correct it.")
