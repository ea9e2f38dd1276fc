"""Which labelled row goes to which split, whatever is labelled: decided on contents, labels and a seed, never on order.

Contents are compared by two hashes, which a kind of problem computes; `unit` is what it calls a row.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field, model_validator

from rnnmodels.config import Settings
from tasks.errors import InputError, plural, quoted
from tasks.labelled.held_rows import ContentHash
from tasks.progress import Progress, emit

# Of rows that repeat one another, the one in the earliest of these splits is kept.
PRECEDENCE = pl.Enum(["test", "valid", "train", "undecided", "unlabelled"])
# What to do where rows are lines of a few templates, so that hardly any groups are left to divide.
APART = "to divide nearly equal texts like any others, set split.near_duplicates = false;"
# Of all rows and what is known of those that are kept: a number for each, which nearly equal ones share.
Clustering = Callable[[pl.LazyFrame, pl.DataFrame], pl.Series]


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


def divide(
    rows: pl.LazyFrame,
    settings: DivisionSettings,
    content: ContentHash,
    cluster: Clustering | None = None,
    new_labels: Sequence[str] = (),
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Assign each row to a split (row, part, cluster), or drop it (row, reason, of_row).

    Of rows with one content one is kept; `cluster` tells which of these are nearly equal, so that they stay together.
    """
    kept, dropped = keep_distinct(rows, settings, content, cluster)
    assigned = draw_splits(kept, settings, new_labels)
    near = find_unlabelled_repeats(assigned)
    return assigned.join(near, on="row", how="anti", maintain_order="left"), pl.concat([dropped, near]).sort("row")


def keep_distinct(
    rows: pl.LazyFrame, settings: DivisionSettings, content: ContentHash, cluster: Clustering | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What is known of the rows to divide, their cluster included, and which are dropped (row, reason, of_row)."""
    identities = read_identities(rows, settings.seed, content)
    emit(Progress(stage="split", note=f"compared {identities.height} {settings.unit}s exactly"))
    repeated = find_exact_duplicates(identities, settings.unit)
    kept = identities.join(repeated, on="row", how="anti", maintain_order="left")
    kept = kept.with_columns(cluster=pl.col("row") if cluster is None else cluster(rows, kept))
    straddling = find_straddling_rows(kept)
    kept = kept.join(straddling, on="row", how="anti", maintain_order="left")
    return kept, pl.concat([repeated, straddling]).sort("row")


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


def find_straddling_rows(identities: pl.DataFrame) -> pl.DataFrame:
    """Rows of a cluster of near duplicates that an official split puts on another side than its first row."""
    ordered = identities.sort("part", "row")
    first = ordered.with_columns(
        of_row=pl.col("row").first().over("cluster"), first_part=pl.col("part").first().over("cluster")
    )
    straddling = first.filter((pl.col("part") != pl.col("first_part")) & pl.col("first_part").is_in(["test", "valid"]))
    return straddling.select("row", reason=pl.lit("near duplicate"), of_row="of_row")


def find_unlabelled_repeats(assigned: pl.DataFrame) -> pl.DataFrame:
    """Rows without a label in whose cluster a validation or test row was drawn: columns row, reason, of_row."""
    held = assigned.filter(pl.col("part").is_in(["valid", "test"])).group_by("cluster").agg(of_row=pl.col("row").min())
    unlabelled = assigned.filter(part="unlabelled").join(held, on="cluster", how="inner", maintain_order="left")
    return unlabelled.select("row", reason=pl.lit("near duplicate"), of_row="of_row")


def draw_splits(identities: pl.DataFrame, settings: DivisionSettings, new_labels: Sequence[str] = ()) -> pl.DataFrame:
    """Decide the part of every undecided row, by label and by whole clusters: columns row, part, cluster.

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
    _refuse_rare_labels(ranked, identities.filter(is_open), shares, settings.unit)
    part, bound = pl.lit("train"), pl.lit(0.0)
    for name, share in shares.items():
        # At least one row of each label in each split that is drawn.
        least = pl.when(share > 0).then(1.0).otherwise(0.0)
        lower, bound = bound, bound + pl.max_horizontal(pl.col("number") * share, least).round()
        part = pl.when((pl.col("rank") >= lower) & (pl.col("rank") < bound)).then(pl.lit(name)).otherwise(part)
    drawn = ranked.select("cluster", drawn=part.cast(PRECEDENCE))
    decided = identities.join(drawn, on="cluster", how="left", maintain_order="left")
    return decided.select("row", part=pl.when(is_open).then("drawn").otherwise("part"), cluster="cluster")


def _refuse_rare_labels(
    ranked: pl.DataFrame, open_rows: pl.DataFrame, shares: Mapping[str, pl.Expr], unit: str
) -> None:
    needed = 1 + pl.sum_horizontal((share > 0).cast(pl.Int64) for share in shares.values())
    groups = ranked.with_columns(needed=needed).group_by("label").agg(pl.len(), pl.col("needed").first())
    rare = groups.filter(pl.col("len") < pl.col("needed")).sort("label")
    if rare.is_empty():
        return
    label, num_groups, least = rare.row(0)
    count = open_rows.filter(pl.col("label").eq_missing(label)).height
    enough = count >= least  # were they not nearly equal
    grouped = f", which are so similar that they form only {plural(num_groups, 'group')}" if enough else ""
    raise InputError(
        "E-DATA-003",
        f"label {quoted(label)} has {plural(count, f'distinct {unit}')}{grouped}, expected at least {least}: one for "
        "each split.",
        fix=f"{APART} or add rows." if enough else "add rows with this label, or remove the label.",
        column="label",
    )
