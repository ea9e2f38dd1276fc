"""Validation and test rows held from an earlier split: they keep their side, and follow what the source says of them.

What a row says (its content) tells which row of the source it is. Its label is the one that the source has now; a label
that the source calls otherwise for all of these rows is renamed, and with it the rows that the source has lost. Rows of
a label that the source knows no more are set aside: no model can learn it, and they return with it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tasks.errors import quoted
from tasks.labelled.summaries import Changes, LabelledSplitSummary
from tasks.store.artefacts import Artefact

HELD = ("valid", "test")
ASIDE_FILE = "aside.parquet"
NUM_EXAMPLES = 3

# The hash of a row's content under a seed.
ContentHash = Callable[[int], pl.Expr]


@dataclass(frozen=True, kw_only=True)
class HeldRows:
    """Rows that stay in validation and test, those set aside (both with the column `split`), and what changed.

    `names` maps labels of earlier days to what the source calls them now.
    """

    kept: pl.LazyFrame
    aside: pl.LazyFrame
    changes: Changes
    names: dict[str, str]

    def write_aside(self, folder: Path) -> None:
        """Store the rows that are set aside, for the day on which their label returns."""
        if self.changes.aside:
            self.aside.sink_parquet(folder / ASIDE_FILE, compression="zstd")


def follow_source(rows: pl.LazyFrame, held: Artefact, num_rows: int, content: ContentHash) -> HeldRows:
    """Take the held rows of a split, with the labels that the source has for their contents; ids follow `num_rows`."""
    stored = _read_stored(held)
    told = _labels_in_source(rows, stored, content)
    known = rows.select(pl.col("label").drop_nulls().unique().sort()).collect()["label"].to_list()
    renamed = _find_renamed(told, known)
    alone = pl.when(pl.col("told").list.len() == 1).then(pl.col("told").list.first())
    now = pl.coalesce(alone, pl.col("label").replace(renamed))
    table = told.with_columns(now=now).with_columns(is_kept=pl.col("now").is_in(known))
    divided = LabelledSplitSummary.of(held)
    names = _carry_names(divided.names, renamed, known)
    earlier = {names.get(label, label) for label in divided.labels}
    new_labels = sorted(set(known) - earlier - set(table["now"]))
    changes = _describe(table, renamed, origin=held.reference, new_labels=new_labels)
    decided = stored.drop("label").join(table.lazy().select("place", "is_kept", label="now"), on="place")
    numbered = decided.sort("place").with_columns(row=pl.col("place") + pl.lit(num_rows, pl.UInt32))
    columns = [name for name in rows.collect_schema().names() if name in stored.collect_schema().names()]
    kept, aside = (numbered.filter(pl.col("is_kept") == side).select(columns) for side in (True, False))
    return HeldRows(kept=kept, aside=aside, changes=changes, names=names)


def describe_changes(changes: Changes) -> list[str]:
    """A warning for everything that became of the held rows."""
    swaps = ", ".join(f"{pair} {count}" for pair, count in list(changes.swaps.items())[:NUM_EXAMPLES])
    gone = ", ".join(map(quoted, changes.gone_labels[:NUM_EXAMPLES]))
    other, several, aside, returned = (
        sum(counts.values()) for counts in (changes.other_label, changes.conflicting, changes.aside, changes.returned)
    )
    said = {
        f"{other} of {changes.held} held rows have another label in the source now: "
        f"the source's label is taken ({swaps})": other,
        f"{several} of {changes.held} held rows have several labels in the source: they keep the one they had": several,
        f"the source has no rows labelled {gone}: {aside} held rows are left out of validation and test": aside,
        f"{returned} held rows are in validation and test again, as the source has their label again": returned,
    }
    renamed = [f"label {quoted(old)} is called {quoted(new)} in the source now" for old, new in changes.renamed.items()]
    return [*renamed, *(sentence for sentence, count in said.items() if count)]


def _read_stored(held: Artefact) -> pl.LazyFrame:
    """Rows of validation and test, then those set aside: with `split`, `was_aside`, and `place` for their order."""
    stored = [pl.scan_parquet(held.file(f"{name}.parquet")).with_columns(split=pl.lit(name)) for name in HELD]
    stored = [rows.with_columns(was_aside=pl.lit(False)) for rows in stored]
    if ASIDE_FILE in held.manifest["files"]:
        aside = pl.scan_parquet(held.file(ASIDE_FILE)).with_columns(was_aside=pl.lit(True))
        stored.append(aside.select(stored[0].collect_schema().names()))
    return pl.concat(stored).with_row_index("place")


def _labels_in_source(rows: pl.LazyFrame, stored: pl.LazyFrame, content: ContentHash) -> pl.DataFrame:
    """Place, label, split, `was_aside` of stored rows, and the labels that their contents have in the source."""
    identity = {"a": content(0), "b": content(1)}
    places = stored.select("place", "label", "split", "was_aside", **identity)
    labelled = rows.drop_nulls("label").select(found="label", **identity)
    told = pl.col("found").drop_nulls().unique().sort()
    joined = places.join(labelled, on=["a", "b"], how="left")
    return joined.group_by("place", "label", "split", "was_aside").agg(told=told).sort("place").collect()


def _find_renamed(told: pl.DataFrame, known: Sequence[str]) -> dict[str, str]:
    """Labels that the source no longer has, although it has their rows, because it gives all of them one other name."""
    lost = told.filter(~pl.col("label").is_in(known)).explode("told").drop_nulls("told")
    names = lost.group_by("label").agg(pl.col("told").unique()).filter(pl.col("told").list.len() == 1)
    return dict(names.select("label", pl.col("told").list.first()).sort("label").rows())


def _carry_names(names: Mapping[str, str], renamed: Mapping[str, str], known: Sequence[str]) -> dict[str, str]:
    """Renamings of earlier days and of this one; a name that the source uses again means itself."""
    carried = {old: renamed.get(new, new) for old, new in names.items()} | dict(renamed)
    return {old: new for old, new in sorted(carried.items()) if old not in known}


def _describe(table: pl.DataFrame, renamed: Mapping[str, str], *, origin: str, new_labels: list[str]) -> Changes:
    stayed, aside = (table.filter(pl.col("is_kept") == side) for side in (True, False))
    other = stayed.filter(pl.col("now") != pl.col("label").replace(dict(renamed)))
    swaps = Counter(f"{quoted(old)} to {quoted(new)}" for old, new in other.select("label", "now").rows())
    return Changes(
        origin=origin,
        held=table.height,
        other_label=_count_by_split(other),
        swaps=dict(sorted(swaps.items(), key=lambda pair: (-pair[1], pair[0]))),
        conflicting=_count_by_split(stayed.filter(pl.col("told").list.len() > 1)),
        renamed=dict(renamed),
        aside=_count_by_split(aside),
        left=_count_by_split(aside.filter(~pl.col("was_aside"))),
        returned=_count_by_split(stayed.filter("was_aside")),
        gone_labels=aside["now"].unique().sort().to_list(),
        new_labels=new_labels,
    )


def _count_by_split(rows: pl.DataFrame) -> dict[str, int]:
    return dict(rows.group_by("split").len().sort("split").rows())
