"""How labelled rows are divided, whatever is labelled, through a leak firewall: no two splits share a content.

An official split is kept: its test rows all stay, and what repeats them elsewhere goes. Otherwise rows are drawn by
label. Rows held from an earlier split are treated as an official one, so that models of different days can be compared;
a label that none of them has is drawn as by a first split. Contents are compared by two hashes, which a kind of problem
computes; `unit` is what it calls a row.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import polars as pl
from pydantic import Field, model_validator

from rnnmodels.config import Settings
from tasks.errors import InputError, plural, quoted
from tasks.labelled.held_rows import HELD, ContentHash, HeldRows, describe_changes, follow_source
from tasks.labelled.summaries import SPLITS, LabelledRowsSummary, LabelledSplitSummary
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary

# Of rows that repeat one another, the one in the earliest of these splits is kept.
PRECEDENCE = pl.Enum(["test", "valid", "train", "undecided", "unlabelled"])
ROWS_FILE = "rows.parquet"
NUM_EXAMPLES = 3


class DivisionSettings(Settings):
    """How labelled rows are divided; the shares apply where the source has no official split."""

    unit: ClassVar[str] = "row"

    valid: float = Field(
        0.1, gt=0, lt=1, description="Share of the labelled (or official training) rows for validation."
    )
    test: float = Field(0.1, gt=0, lt=1, description="Share of the labelled rows for testing.")
    seed: int = Field(1, ge=0, lt=2**32, description="Seed of the random split.")

    @model_validator(mode="after")
    def _leave_training_rows(self) -> "DivisionSettings":
        if self.valid + self.test >= 1:
            raise ValueError(f"valid + test is {self.valid + self.test:g}, which leaves no training rows")
        return self


def write_division(
    folder: Path, *, rows: Artefact, held: Artefact | None, settings: DivisionSettings, content: ContentHash
) -> LabelledSplitSummary:
    """Divide rows of which equal ones stay on one side: `split` for whatever can tell whether two rows are equal.

    Fills the artefact's folder: one file per split, and `dropped.parquet` with the reason for each missing row.
    Raises InputError: E-DATA-002 to -004.
    """
    frame = pl.scan_parquet(rows.file(ROWS_FILE))
    kept = None if held is None else follow_source(frame, held, rows.rows, content)
    frame = frame if kept is None else put_first(kept, frame, content)
    identities = read_identities(frame, settings.seed, content)
    dropped = find_exact_duplicates(identities, settings.unit).sort("row")
    whole = identities.join(dropped, on="row", how="anti", maintain_order="left").with_columns(cluster="row")
    drawn = draw_splits(whole, settings, () if kept is None else kept.changes.new_labels)
    divided = write_parts(folder, frame, drawn, dropped, kept)
    warnings = [*Summary.of(rows).warnings, *describe_division(folder, dropped, rows.rows, kept)]
    return divided.model_copy(update={"warnings": warnings})


def put_first(held: HeldRows, rows: pl.LazyFrame, content: ContentHash) -> pl.LazyFrame:
    """Add the validation and test rows of an earlier split, in place of the rows that repeat their contents."""
    identity = {"a": content(0), "b": content(1)}
    others = rows.with_columns(**identity).join(held.kept.select(**identity), on=["a", "b"], how="anti")
    return pl.concat([held.kept, others.select(held.kept.collect_schema().names())])


def read_identities(rows: pl.LazyFrame, seed: int, content: ContentHash) -> pl.DataFrame:
    """What the split is decided on, without the contents: row, label, part, and two hashes of the content.

    `part` is the official split, `undecided` where the source has none; `draw` orders contents at random by seed.
    """
    part = pl.coalesce("split", pl.when(pl.col("label").is_null()).then(pl.lit("unlabelled")), pl.lit("undecided"))
    identities = rows.select(
        "row",
        "label",
        part=part.cast(PRECEDENCE),
        identity=pl.struct(a=content(0), b=content(1)),
        draw=content(seed + 2),
    )
    return identities.collect(engine="streaming")


def find_exact_duplicates(identities: pl.DataFrame, unit: str) -> pl.DataFrame:
    """Rows to drop because another row has the same content: columns row, reason, of_row.

    Where labels conflict no copy can be trusted, so all go; official test rows stay in any case.
    """
    ordered = identities.sort("part", "row")
    same = ordered.with_columns(
        of_row=pl.col("row").first().over("identity"),
        copies=pl.len().over("identity"),
        num_labels=pl.col("label").drop_nulls().n_unique().over("identity"),
    ).filter((pl.col("copies") > 1) & (pl.col("part") != "test"))
    conflicting = same.filter(pl.col("num_labels") > 1).with_columns(reason=pl.lit(f"same {unit}, other label"))
    repeated = same.filter((pl.col("num_labels") <= 1) & (pl.col("row") != pl.col("of_row")))
    return pl.concat([conflicting, repeated.with_columns(reason=pl.lit(f"same {unit}"))], how="diagonal").select(
        "row", "reason", "of_row"
    )


def draw_splits(identities: pl.DataFrame, settings: DivisionSettings, new_labels: Sequence[str] = ()) -> pl.DataFrame:
    """Decide the part of every undecided row, by label and by whole clusters; the result has columns row, part.

    The draw depends on contents, labels and seed, never on the order of the rows. Rows of `new_labels`, which no held
    row has, are drawn although validation and test rows are given.
    Raises InputError (E-DATA-003) where a label has too few rows for its share of each split.
    """
    is_new = pl.col("label").is_in(new_labels)
    shares = {}
    for name, share in (("test", settings.test), ("valid", settings.valid)):
        is_given = (identities["part"] == name).any()
        shares[name] = pl.when(is_new | (not is_given)).then(share).otherwise(0.0)
    takes_training = (pl.col("part") == "train") & ~is_new if (identities["part"] == "test").any() else pl.lit(False)
    is_open = (pl.col("part") == "undecided") | takes_training
    heads = identities.filter(is_open).sort("draw").group_by("cluster").agg(pl.col("label", "draw").first())
    ranked = heads.with_columns(rank=pl.col("draw").rank("ordinal").over("label") - 1, number=pl.len().over("label"))
    _refuse_rare_labels(ranked, shares, settings.unit)
    part, bound = pl.lit("train"), pl.lit(0.0)
    for name, share in shares.items():
        # At least one row of each label in each split that is drawn.
        least = pl.when(share > 0).then(1.0).otherwise(0.0)
        lower, bound = bound, bound + pl.max_horizontal(pl.col("number") * share, least).round()
        part = pl.when((pl.col("rank") >= lower) & (pl.col("rank") < bound)).then(pl.lit(name)).otherwise(part)
    drawn = ranked.select("cluster", drawn=part.cast(PRECEDENCE))
    decided = identities.join(drawn, on="cluster", how="left", maintain_order="left")
    return decided.select("row", part=pl.when(is_open).then("drawn").otherwise("part"))


def _refuse_rare_labels(ranked: pl.DataFrame, shares: Mapping[str, pl.Expr], unit: str) -> None:
    needed = 1 + pl.sum_horizontal((share > 0).cast(pl.Int64) for share in shares.values())
    counted = ranked.with_columns(needed=needed).group_by("label").agg(pl.len(), pl.col("needed").first())
    rare = counted.filter(pl.col("len") < pl.col("needed")).sort("label")
    if rare.height:
        label, count, least = rare.row(0)
        raise InputError(
            "E-DATA-003",
            f"label {quoted(label)} has {plural(count, f'distinct {unit}')}, expected at least {least}: one for each "
            "split.",
            fix="add rows with this label, or remove the label.",
            column="label",
        )


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
    return [*followed, *describe_dropped(dropped, num_rows), *describe_untested(folder)]


def describe_dropped(dropped: pl.DataFrame, num_rows: int) -> list[str]:
    """One sentence per reason, with the share and three examples."""
    return [
        f"dropped {group.height} of {num_rows} rows ({group.height / num_rows:.1%}), {reason}: "
        + ", ".join(f"row {row} repeats row {of_row}" for row, of_row in group.select("row", "of_row").head(3).rows())
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
