"""Validation and test text held from an earlier split, which no later training text may contain."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from tasks.errors import plural
from tasks.kinds.language.summaries import DividedSummary
from tasks.store.artefacts import Artefact
from tasks.text.division import hash_folded_text

HELD = ("valid", "test")
# A line of a held passage that is at least as long is not trained on, wherever it stands.
TELLING_LINE = 30

Texts = list[tuple[int, str]]


@dataclass(frozen=True, kw_only=True)
class HeldText:
    """Documents, or passages of them, that stay in validation and test, with the column `split`."""

    rows: pl.LazyFrame
    num_rows: int
    are_passages: bool
    warnings: tuple[str, ...] = ()


def read_held(held: Artefact, num_rows: int) -> HeldText:
    """Take the validation and test text of a split; its row ids follow `num_rows`."""
    divided = DividedSummary.of(held)
    names = HELD[:1] if divided.test_is_valid else HELD
    parts = [pl.scan_parquet(held.file(f"{name}.parquet")).with_columns(split=pl.lit(name)) for name in names]
    rows = pl.concat(parts).drop("row").with_row_index("row", offset=num_rows)
    return HeldText(
        rows=rows.select("row", "text", "split"),
        num_rows=sum(divided.splits[name] for name in names),
        are_passages=divided.divided == "position",
    )


def put_aside(held: HeldText, documents: pl.LazyFrame) -> tuple[HeldText, pl.LazyFrame]:
    """The held text and, to train on, the documents of the source without it: row, text, split."""
    if held.are_passages:
        held, others = _without_passages(held, documents)
    else:
        identity = {"a": hash_folded_text(0), "b": hash_folded_text(1)}
        others = documents.with_columns(**identity).join(held.rows.select(**identity), on=["a", "b"], how="anti")
    return held, pl.concat([held.rows, others.select("row", "text", split=pl.lit("train"))])


def _without_passages(held: HeldText, documents: pl.LazyFrame) -> tuple[HeldText, pl.LazyFrame]:
    passages = held.rows.select("text").collect()["text"].to_list()
    rest, found = cut_out(documents.select("row", "text").collect().rows(), passages)
    edited = [passage for index, passage in enumerate(passages) if index not in found]
    if edited:
        rest, num_lines = drop_lines(rest, edited)
        held = replace(held, warnings=(_describe_edited(len(edited), num_lines),))
    # A document of which several passages are left gets a row for each.
    frame = pl.LazyFrame(rest, schema={"of_row": pl.UInt32, "text": pl.String}, orient="row")
    first = pl.col("of_row").is_first_distinct()
    fresh = held.num_rows + pl.max_horizontal(pl.lit(0), first.not_().cum_sum() - 1)
    after = held.rows.select(pl.col("row").min()).collect().item()
    numbered = frame.with_columns(row=pl.when(first).then("of_row").otherwise(after + fresh).cast(pl.UInt32))
    return held, numbered


def cut_out(documents: Texts, passages: Sequence[str]) -> tuple[Texts, set[int]]:
    """What stands in documents before, between and after the passages, and which of these were found."""
    rest, found = list(documents), set()
    for index, passage in enumerate(passages):
        pieces: Texts = []
        for row, text in rest:
            # A few characters may stand anywhere; what is removed of them is where they were taken from, at most.
            parts = text.split(passage, -1 if len(passage) >= TELLING_LINE else 1)
            found |= {index} if len(parts) > 1 else set()
            pieces += [(row, part) for part in parts if part.strip()]
        rest = pieces
    return rest, found


def drop_lines(documents: Texts, passages: Sequence[str]) -> tuple[Texts, int]:
    """Leave out the long lines that stand in passages, too, and count them."""
    telling = {line.strip() for passage in passages for line in passage.splitlines()}
    telling = {line for line in telling if len(line) >= TELLING_LINE}
    rest, num_lines = [], 0
    for row, text in documents:
        lines = text.splitlines(keepends=True)
        kept = [line for line in lines if line.strip() not in telling]
        num_lines += len(lines) - len(kept)
        rest.append((row, "".join(kept)))
    return [(row, text) for row, text in rest if text.strip()], num_lines


def _describe_edited(num_passages: int, num_lines: int) -> str:
    were = "is not in the source as it was" if num_passages == 1 else "are not in the source as they were"
    return (
        f"{plural(num_passages, 'passage')} kept for validation and test {were}; {plural(num_lines, 'line')} of the "
        "source that it shares with such a passage are not trained on"
    )
