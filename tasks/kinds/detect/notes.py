"""What a caller is to know of rows that a served detector was given, besides the answers."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from tasks.errors import plural, quoted
from tasks.kinds.detect.series_judge import FORGOTTEN, JUDGED, WARM_UP
from tasks.panel.frames import bare_name


def leave_out_foreign(rows: pl.DataFrame, channels: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    """Leave out channels that the detector never learned, and rows that hold nothing else; says so."""
    own = [f"value.{name}" for name in channels]
    foreign = [name for name in rows.columns if name.startswith("value.") and name not in own]
    if not foreign:
        return rows, []
    is_foreign = pl.any_horizontal(pl.col(foreign).is_not_null()) & pl.all_horizontal(pl.col(own).is_null())
    kept = rows.filter(~is_foreign)
    names = ", ".join(quoted(bare_name(name)) for name in foreign)
    note, num_empty = f"left out channels that the detector was not trained on: {names}", rows.height - kept.height
    return kept, [f"{note}; and {plural(num_empty, 'row')} of nothing else" if num_empty else note]


def describe_answers(answers: Iterable[pl.DataFrame], past_of: Mapping[str, pl.DataFrame]) -> list[str]:
    """Say which series are new, what was not judged although it was seen, and which continue after a long pause."""
    num_forgotten, pauses, new, num_warm_up = 0, [], [], 0
    for answer in answers:
        num_forgotten += int((answer["status"] == FORGOTTEN).sum())
        series = answer["series"][0]
        if series not in past_of:
            new.append(series)
            num_warm_up += int((answer["status"] == WARM_UP).sum())
        elif is_long_pause(answer, past_of[series]):
            pauses.append(series)
    said = {
        f"{len(new)} series, such as {quoted(next(iter(new), ''))}, new to the detector: their first rows "
        f"({num_warm_up}) are assumed to be normal and are not judged": len(new),
        f"neither judged nor compared with what was seen: {plural(num_forgotten, 'row')} before those that the "
        "detector remembers of their series": num_forgotten,
        f"{len(pauses)} series, such as {quoted(next(iter(pauses), ''))}, with a longer pause before the new rows than "
        "between any two of the rows remembered; rows in between that were not shown count as if they had never been": (
            len(pauses)
        ),
    }
    return [note for note, count in said.items() if count]


def is_long_pause(answer: pl.DataFrame, past: pl.DataFrame) -> bool:
    """Whether the first new row comes later than any row remembered came after the one before it."""
    first = answer.filter(status=JUDGED)["time"].cast(pl.Int64).first()
    times = past["time"].cast(pl.Int64)
    longest = times.diff().max()
    return first is not None and longest is not None and first - times[-1] > longest
