"""What is to be known of the rows that a detector answered: counted over windows, and said in words.

This module travels with the registered model.
"""

from collections.abc import Iterable, Mapping

import polars as pl

from tasks.contract.notes import Notes
from tasks.errors import plural, quoted
from tasks.kinds.detect.series_judge import FORGOTTEN, JUDGED, WARM_UP

NEW, PAUSE = "new", "pause"


def note_answers(notes: Notes, answers: Iterable[pl.DataFrame], past_of: Mapping[str, pl.DataFrame]) -> None:
    """Note which series are new, what was not judged although it was seen, and which continue after a long pause."""
    for answer in answers:
        series = answer["series"][0]
        notes.add(FORGOTTEN, int((answer["status"] == FORGOTTEN).sum()))
        if series not in past_of:
            notes.add(NEW, 1, quoted(series))
            notes.add(WARM_UP, int((answer["status"] == WARM_UP).sum()))
        elif is_long_pause(answer, past_of[series]):
            notes.add(PAUSE, 1, quoted(series))


def describe_notes(notes: Notes) -> list[str]:
    """Say what was noted of answers."""

    def such(name: str) -> str:
        return f"{notes.count(name)} series, such as {next(iter(notes.examples.get(name, [])), '')},"

    said = {
        f"{such(NEW)} new to the detector: their first rows ({notes.count(WARM_UP)}) are assumed to be normal "
        "and are not judged": NEW,
        f"neither judged nor compared with what was seen: {plural(notes.count(FORGOTTEN), 'row')} before those that "
        "the detector remembers of their series": FORGOTTEN,
        f"{such(PAUSE)} with a longer pause before the new rows than between any two of the rows remembered; rows in "
        "between that were not shown count as if they had never been": PAUSE,
    }
    return [note for note, name in said.items() if notes.count(name)]


def is_long_pause(answer: pl.DataFrame, past: pl.DataFrame) -> bool:
    """Whether the first new row comes later than any row remembered came after the one before it."""
    first = answer.filter(status=JUDGED)["time"].cast(pl.Int64).first()
    times = past["time"].cast(pl.Int64)
    longest = times.diff().max()
    return first is not None and longest is not None and first - times[-1] > longest
