"""How labelled rows are divided, whatever is labelled, through a leak firewall: no two splits share a content.

An official split is kept: its test rows all stay, and what repeats them elsewhere goes. Otherwise rows are drawn by
label. Rows held from an earlier split are treated as an official one, so that models of different days can be compared;
a label that none of them has is drawn as by a first split.
"""

from pathlib import Path

import polars as pl

from tasks.errors import InputError, plural, quoted
from tasks.labelled.division import Clustering, DivisionSettings, divide
from tasks.labelled.held_rows import HELD, ContentHash, HeldRows, describe_changes, follow_source
from tasks.labelled.summaries import DIVIDE_ALIKE, SPLITS, LabelledRowsSummary, LabelledSplitSummary
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary

ROWS_FILE = "rows.parquet"
NUM_EXAMPLES = 3
# Fewer training rows of a label than this can hardly be learned from.
FEW_ROWS = 10
# Share of rows with contradictory labels above which something may be wrong with what is read.
MANY_CONFLICTS = 0.1
CONTRADICTORY = "; what is read does not tell the label: check which columns the source names"


def write_division(
    folder: Path,
    *,
    rows: Artefact,
    held: Artefact | None,
    settings: DivisionSettings,
    content: ContentHash,
    cluster: Clustering | None = None,
) -> LabelledSplitSummary:
    """Divide rows of which equal ones stay on one side: `split` for whatever can tell whether two rows are equal.

    Fills the artefact's folder: one file per split, and `dropped.parquet` with the reason for each missing row.
    Raises InputError: E-DATA-001 to -004.
    """
    frame = pl.scan_parquet(rows.file(ROWS_FILE))
    kept = None if held is None else follow_source(frame, held, rows.rows, content)
    frame = frame if kept is None else put_first(kept, frame, content)
    new_labels = () if kept is None else kept.changes.new_labels
    assigned, dropped = divide(frame, settings, content, cluster, new_labels)
    if assigned.is_empty():
        raise InputError(
            "E-DATA-001",
            f"no rows are left: {'; '.join(describe_dropped(dropped, rows.rows))}.",
            fix="give equal rows one label, or check which columns are read.",
        )
    divided = write_parts(folder, frame, assigned, dropped, kept)
    warnings = [
        *Summary.of(rows).warnings,
        *describe_division(folder, dropped, rows.rows, kept),
        *(describe_groups(assigned, settings.unit) if divided.is_mostly_alike else ()),
    ]
    return divided.model_copy(update={"warnings": warnings})


def put_first(held: HeldRows, rows: pl.LazyFrame, content: ContentHash) -> pl.LazyFrame:
    """Add the validation and test rows of an earlier split, in place of the rows that repeat their contents."""
    identity = {"a": content(0), "b": content(1)}
    others = rows.with_columns(**identity).join(held.kept.select(**identity), on=["a", "b"], how="anti")
    return pl.concat([held.kept, others.select(held.kept.collect_schema().names())])


def write_parts(
    folder: Path, frame: pl.LazyFrame, assigned: pl.DataFrame, dropped: pl.DataFrame, held: HeldRows | None
) -> LabelledSplitSummary:
    """Write one file per split without the column `split`, and `dropped.parquet`; returns what was counted."""
    counts = dict(assigned.group_by("part").len().sort("part").rows())
    for name in counts:
        members = assigned.lazy().filter(part=name).select("row")
        rows = frame.drop("split", "source", strict=False).join(members, on="row", how="semi", maintain_order="left")
        rows.sink_parquet(folder / f"{name}.parquet", compression="zstd")
    dropped.write_parquet(folder / "dropped.parquet")
    if held is not None:
        held.write_aside(folder)
    return LabelledSplitSummary(
        rows=assigned.height,
        groups=assigned["cluster"].n_unique(),
        splits=counts,
        labels=read_labels(folder, are_held=held is not None),
        dropped=dict(dropped.group_by("reason").len().sort("reason").rows()),
        held=None if held is None else held.changes,
        names={} if held is None else held.names,
    )


def read_labels(folder: Path, *, are_held: bool) -> list[str]:
    """Sorted label names of the training rows, which must cover those of the other splits.

    Raises InputError: E-DATA-002 for fewer than two labels, E-DATA-004 for one that training never sees.
    """
    labels = {name: _distinct_labels(folder / f"{name}.parquet") for name in SPLITS}
    if len(labels["train"]) < 2:  # noqa: PLR2004 - a choice takes two
        found = f"only the label {quoted(labels['train'][0])}" if labels["train"] else "no label"
        raise InputError(
            "E-DATA-002",
            f"the training rows have {found}, expected at least two.",
            fix="add rows of another label; the dropped rows are counted in the warnings.",
            column="label",
        )
    for name in HELD:
        if unseen := sorted(set(labels[name]) - set(labels["train"])):
            raise _untrained(unseen[0], name, are_held=are_held)
    return labels["train"]


def _untrained(label: str, name: str, *, are_held: bool) -> InputError:
    kept = ", which are kept from an earlier training," if are_held else ""
    fix = (
        "add other rows with this label, or remove its rows from the source: the kept ones are then removed, too."
        if are_held
        else "correct the label or the split column, or add training rows."
    )
    return InputError(
        "E-DATA-004",
        f"label {quoted(label)} occurs in the {name} rows{kept} but in no training row.",
        fix=fix,
        column="label",
    )


def describe_groups(assigned: pl.DataFrame, unit: str) -> list[str]:
    """Warn of rows most of which are nearly equal to others, as lines of a few templates are."""
    groups = dict(assigned.group_by("part").agg(pl.col("cluster").n_unique()).rows())
    shown = ", ".join(f"{groups[name]:,} {name}" for name in SPLITS if name in groups)
    return [
        f"the {assigned.height:,} {unit}s form only {plural(assigned['cluster'].n_unique(), 'group')} of nearly equal "
        f"ones ({shown}), as lines of a few templates do; a group is not divided, so models are tested on other "
        f"templates than they are trained on; {DIVIDE_ALIKE}"
    ]


def describe_rare(folder: Path) -> list[str]:
    """Warn of labels with so few training rows that a model can hardly learn them."""
    counts = pl.scan_parquet(folder / "train.parquet").group_by("label").len().sort("len", "label").collect()
    rare = counts.filter(pl.col("len") < FEW_ROWS)
    if rare.is_empty():
        return []
    label, number = rare.row(0)
    return [
        f"{rare.height} of {counts.height} labels have fewer than {FEW_ROWS} training rows, such as {quoted(label)} "
        f"with {number}, so models can hardly learn them; add rows, or give several labels one name in source.labels"
    ]


def describe_untested(folder: Path) -> list[str]:
    """Warn of labels that are trained on, and of which no row validates or tests."""
    labels = {name: _distinct_labels(folder / f"{name}.parquet") for name in HELD}
    train = pl.scan_parquet(folder / "train.parquet").group_by("label").len().sort("label").collect()
    untested = [(label, number, [name for name in HELD if label not in labels[name]]) for label, number in train.rows()]
    words = {"valid": "validation", "test": "test"}
    return [
        f"label {quoted(label)}: {number} training rows, no {' or '.join(words[name] for name in missing)} row, "
        "so its accuracy is unknown"
        for label, number, missing in [one for one in untested if one[-1]][:NUM_EXAMPLES]
    ]


def _distinct_labels(path: Path) -> list[str]:
    labels = pl.scan_parquet(path).select(pl.col("label").unique().sort())
    return labels.collect(engine="streaming")["label"].to_list()


def describe_division(folder: Path, dropped: pl.DataFrame, num_rows: int, held: HeldRows | None) -> list[str]:
    """Warnings of a division: what became of held rows, what was dropped, what is not tested."""
    followed = [] if held is None else describe_changes(held.changes)
    return [*followed, *describe_dropped(dropped, num_rows), *describe_untested(folder), *describe_rare(folder)]


def describe_dropped(dropped: pl.DataFrame, num_rows: int) -> list[str]:
    """One sentence per reason, with the share and three examples."""
    return [
        f"dropped {group.height} of {num_rows} rows ({group.height / num_rows:.1%}), {reason}: "
        + ", ".join(f"row {row} repeats row {of_row}" for row, of_row in group.select("row", "of_row").head(3).rows())
        + (CONTRADICTORY if "other label" in reason and group.height > MANY_CONFLICTS * num_rows else "")
        for (reason,), group in dropped.group_by("reason", maintain_order=True)
    ]


def must_hold(held: Artefact | None, rows: Artefact, settings: DivisionSettings) -> bool:
    """Tell whether rows of an earlier split have to be kept in place.

    An official test split needs no help, and the same rows under the same settings are divided the same anyway.
    """
    if held is None or "test" in LabelledRowsSummary.of(rows).splits:
        return False
    origin = held.manifest
    return origin["inputs"] != {"rows": rows.digest} or origin["config"] != settings.model_dump(mode="json")
