"""Recipes for labelled sequences of numbers, from a look at a table with a row per sequence and step."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

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
        if series is None or not series.ids or label in series.ids:
            continue
        sequences = pl.DataFrame([one.cells for one in series.ids]).with_columns(label.cells.alias("\0label"))
        per_sequence = sequences.group_by(one.name for one in series.ids).agg(
            pl.col("\0label").n_unique().alias("\0number"), pl.col("\0label").first()
        )
        if per_sequence["\0number"].max() != 1 or per_sequence.height < MIN_PER_CLASS * label.distinct:
            continue
        is_relative = series.reading is not None and series.reading.is_steps
        called = is_named(label.name, LABELS if is_relative else CLASSES)
        fit = 0.85 if is_relative and called else 0.75 if called else 0.3
        counted, num_values = Column(label.name, per_sequence["\0label"]), len(series.values)
        drafted = _of_sequences(seen, series.findings, counted, fit=fit, num_values=num_values)
        return replace(drafted, findings=(*drafted.findings, *missing_settings(series)))
    return Draft(kind=KIND, lacks="no column holds one class for each sequence of rows")


def _of_sequences(
    seen: Seen, source: Iterable[Setting | Question], label: Column, *, fit: float, num_values: int
) -> Draft:
    """The draft of sequences of which `label` holds a class each."""
    split = find_split(seen, aside=(seen.columns[label.name],))
    return Draft(
        kind=KIND,
        fit=fit,
        reason=f"{label.cells.len():,} sequences of numbers, each of one class in {quoted(label.name)}",
        findings=(
            *source,
            Setting("source.label_column", label.name, "one for each sequence"),
            *([Setting("source.split_column", split.name)] if split else []),
            *describe_classes(label),
        ),
        values=seen.num_rows * num_values,
        rate=RATE,
    )


def _of_rows(seen: Seen) -> Draft | None:
    """A table with a labelled sequence in each row: next to its label, and perhaps an id, many numbers of one kind."""
    numbers = [one for one in seen.columns.values() if one.is_number or one.filled.is_empty()]
    others = [one for one in seen.columns.values() if one not in numbers]
    at_ends = [one for one in (*numbers[:1], *numbers[-1:]) if one.is_whole and is_named(one.name, LABELS)]
    labels = seen.chosen("source.label_column") or [one for one in (*others, *at_ends) if one.is_class]
    label = min(labels, key=lambda one: not is_named(one.name, LABELS), default=None)
    ids = [one for one in others if one.distinct == seen.height]
    rest = {*others} - {label, *ids[:1], find_split(seen, aside=labels)}
    values = [one for one in numbers if one is not label]
    if label is None or rest or len(values) < MIN_STEPS or not _are_of_one_kind(values):
        return None
    findings = [
        *seen.findings,
        Setting("source.layout", "series_per_row", f"each row is a sequence of up to {len(values)} numbers"),
        *(Setting("source.id_columns", [one.name]) for one in ids[:1]),
        Setting("source.time_columns", []),
        Setting("source.time_unit", "order"),
    ]
    fit = 0.9 if not ids else 0.75 if is_named(label.name, LABELS) else 0.3
    return _of_sequences(seen, findings, label, fit=fit, num_values=len(values))


def _are_of_one_kind(values: Sequence[Column]) -> bool:
    """Whether columns may be steps of one sequence: called alike, and none of far larger numbers than most."""
    spreads = sorted(float(one.numbers.std() or 0) for one in values)  # ty: ignore[invalid-argument-type]
    return are_alike(values) and 0 < spreads[-1] <= MOST_UNLIKE * spreads[len(spreads) // 2]


def _of_ts_files(seen: Seen) -> Draft:
    """Files of the time series classification archive; their channels are numbered."""
    lines = seen.found.head.decode("utf-8", "replace").splitlines()
    row = next((line for line in lines if line.strip() and line.strip()[0] not in "#@%"), "")
    num_channels, names = max(1, row.count(":")), seen.found.names
    keys = {"format": "ts", "id_columns": ["sequence"], "time_columns": ["step"], "time_unit": "step"}
    keys |= {"value_columns": [f"channel_{number}" for number in range(1, num_channels + 1)]}
    keys |= {"split_column": "split"} if len(names) > 1 and any("_train" in name.lower() for name in names) else {}
    found = tuple(Setting(f"source.{key}", value) for key, value in keys.items())
    return Draft(kind=KIND, fit=0.9, reason="sequences in .ts files, a class for each", findings=found)
