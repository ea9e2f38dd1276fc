"""Recipes for labelled sequences of numbers, from a look at a table with a row per sequence and step."""

from collections.abc import Sequence

import polars as pl

from tasks.discovery.columns import Column
from tasks.discovery.draft import Draft, Question, Setting
from tasks.discovery.labels import describe_classes, find_labels, find_split
from tasks.discovery.seen import Seen
from tasks.discovery.words import LABELS, is_named
from tasks.errors import quoted
from tasks.panel.drafted_columns import are_alike
from tasks.panel.drafting import missing_settings, see_series

KIND = "classify-series"
# Numbers that both default models read in a second on two cores.
RATE = 20_000
MIN_PER_CLASS = 3
# Rows of fewer numbers are rather features than sequences, and so are columns with so different spreads.
MIN_STEPS, MOST_UNLIKE = 20, 30
# What only labels are called; rows of a panel of series have categories, too.
CLASSES = frozenset({"label", "class", "target", "outcome"})


def draft(seen: Seen) -> Draft:
    """Propose a recipe for labelled sequences."""
    if seen.format == "ts":
        return _of_ts_files(seen)
    if not seen.columns:
        return Draft(kind=KIND, lacks=f"a table ({seen.what or 'not one'})")
    if (of_rows := _of_rows(seen)) is not None:
        return of_rows
    for label in seen.chosen("source.label_column") or find_labels(seen, aside=(), is_wide=True):
        series = see_series(seen, label=label)
        if series is None or not series.ids or any(one is label for one in series.ids):
            continue
        sequences = pl.DataFrame([one.cells for one in series.ids]).with_columns(label.cells.alias("\0label"))
        names = [one.name for one in series.ids]
        per_sequence = sequences.group_by(names).agg(
            pl.col("\0label").n_unique().alias("labels"), pl.col("\0label").first()
        )
        if per_sequence["labels"].max() != 1 or per_sequence.height < MIN_PER_CLASS * label.distinct:
            continue
        split = find_split(seen, aside=(label,))
        values = [one for one in series.values if one is not label]
        is_relative = series.reading is not None and series.reading.is_steps
        called = is_named(label.name, LABELS) if is_relative else is_named(label.name, CLASSES)
        counted = Column(label.name, per_sequence["\0label"])
        findings: tuple[Setting | Question, ...] = (
            *series.findings,
            Setting("source.label_column", label.name, "one for each sequence"),
            *([Setting("source.split_column", split.name)] if split else []),
            *describe_classes(counted),
            *missing_settings(series),
        )
        return Draft(
            kind=KIND,
            fit=0.85 if is_relative and called else 0.75 if called else 0.3,
            reason=f"{per_sequence.height:,} sequences of numbers, each of one class in {quoted(label.name)}",
            findings=findings,
            values=seen.num_rows * len(values),
            rate=RATE,
        )
    return Draft(kind=KIND, lacks="no column holds one class for each sequence of rows")


def _of_rows(seen: Seen) -> Draft | None:
    """A table with a labelled sequence in each row: next to its label, and perhaps an id, many numbers of one kind."""
    numbers = [one for one in seen.columns.values() if one.is_number or one.filled.is_empty()]
    others = [one for one in seen.columns.values() if one not in numbers]
    at_ends = [*numbers[:1], *numbers[-1:]]
    labels = seen.chosen("source.label_column") or [
        one for one in [*others, *at_ends] if one.is_class and (not one.is_number or one.is_whole)
    ]
    ids = [one for one in others if one.distinct == seen.height]
    label = min(labels, key=lambda one: not is_named(one.name, LABELS), default=None)
    values = [one for one in numbers if one is not label]
    if label is None or len(values) < MIN_STEPS or {*others} - {label, *ids[:1]} or not _are_of_one_kind(values):
        return None
    is_called = is_named(label.name, LABELS)
    stated = {"layout": "series_per_row", "time_columns": [], "time_unit": "order", "label_column": label.name}
    stated |= {"id_columns": [ids[0].name]} if ids else {}
    why = {"layout": f"each row is a sequence of up to {len(values)} numbers", "label_column": "one for each sequence"}
    return Draft(
        kind=KIND,
        fit=0.9 if not ids else 0.75 if is_called else 0.3,
        reason=f"{seen.num_rows:,} sequences of numbers in rows, each of one class in {quoted(label.name)}",
        findings=(
            *seen.findings,
            *(Setting(f"source.{key}", value, why.get(key, "")) for key, value in stated.items()),
            *describe_classes(label),
        ),
        values=seen.num_rows * len(values),
        rate=RATE,
    )


def _are_of_one_kind(values: Sequence[Column]) -> bool:
    """Whether columns may be steps of one sequence: called alike, and none of far larger numbers than most."""
    spreads = sorted(float(one.numbers.std() or 0) for one in values)  # ty: ignore[invalid-argument-type]
    return are_alike(values) and 0 < spreads[-1] <= MOST_UNLIKE * spreads[len(spreads) // 2]


def _of_ts_files(seen: Seen) -> Draft:
    """Files of the time series classification archive; their channels are numbered."""
    num_channels = _count_channels(seen.found.head.decode("utf-8", "replace"))
    keys = {"format": "ts", "id_columns": ["sequence"], "time_columns": ["step"], "time_unit": "step"}
    keys |= {"value_columns": [f"channel_{number}" for number in range(1, num_channels + 1)]}
    keys |= {"split_column": "split"} if _names_a_split(seen) else {}
    found = tuple(Setting(f"source.{key}", value) for key, value in keys.items())
    return Draft(kind=KIND, fit=0.9, reason="sequences in .ts files, a class for each", findings=found)


def _names_a_split(seen: Seen) -> bool:
    return any("_train" in name.lower() for name in seen.found.names) and len(seen.found.names) > 1


def _count_channels(text: str) -> int:
    row = next((line for line in text.splitlines() if line.strip() and line.strip()[0] not in "#@%"), "")
    return max(1, row.count(":"))
