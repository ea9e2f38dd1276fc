"""Stage `split` for language models: documents to training, validation and test text, through a leak firewall.

No two splits share a document, whether exactly (after folding case, white space and Unicode form) or nearly. An
official split is kept. Where there are too few documents to divide, each is cut by position: it is trained on how it
begins, and validated and tested on how it goes on. What a champion was validated and tested on stays where it is.
"""

from pathlib import Path
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from tasks.errors import InputError, plural
from tasks.kinds.language.held_passages import HeldText, put_aside, read_held
from tasks.kinds.language.passages import cut_by_position, open_parts, without_near_duplicates
from tasks.kinds.language.summaries import SPLITS, DividedSummary
from tasks.labelled.division import draw_splits, keep_distinct
from tasks.labelled.split import describe_dropped, must_hold
from tasks.labelled.summaries import LabelledRowsSummary
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.text.division import TextDivisionSettings, clustering, hash_folded_text
from tasks.text.rows import ROWS_FILE

__all__ = ["LanguageSplitSettings", "must_hold", "write_splits"]

# Fewer than these are rather cut than divided.
LEAST_DOCUMENTS = 10
# A document for each split.
LEAST_APART = 3
NO_TEST = (
    "no text is kept for testing alone: what is said of test rows is said of the validation rows, which also chose the "
    "epoch and the model; set split.test to a share, or name test rows in the source, for metrics on unseen text"
)


class LanguageSplitSettings(TextDivisionSettings):
    """How documents are divided; the shares apply where the source has no official split."""

    unit: ClassVar[str] = "document"

    by: Literal["auto", "document", "position"] = Field(
        "auto",
        description="Whether whole documents are drawn, or each is cut by position; `auto` draws if there are 10 or "
        "more.",
    )
    valid: float = Field(
        0.1, gt=0, lt=1, description="Share for validation, of the documents or of the characters of each."
    )
    test: float = Field(0.1, ge=0, lt=1, description="Share for testing; with 0 the validation rows are the test rows.")


def write_splits(
    folder: Path, *, rows: Artefact, held: Artefact | None, settings: LanguageSplitSettings
) -> DividedSummary:
    """Fill the artefact's folder: one file per split, and `dropped.parquet` with the reason for each missing row.

    Raises InputError: E-DATA-001 without training text, E-DATA-003 where the documents are too few to divide,
    E-DATA-060 where they are too short to cut.
    """
    documents, kept_text = read_documents(rows), None
    if held is not None:
        kept_text, documents = put_aside(read_held(held, rows.rows), documents)
    documents = documents.with_columns(label=pl.lit(settings.unit))
    kept, dropped = keep_distinct(documents, settings, hash_folded_text, clustering(settings))
    divided = choose_division(kept, settings)
    if divided == "position":
        kept, repeated = without_near_duplicates(kept)
        dropped = pl.concat([dropped, repeated]).sort("row")
        cut_by_position(folder, documents, kept, valid=settings.valid, test=settings.test)
    else:
        write_whole(folder, documents, draw_splits(kept, settings))
    dropped.write_parquet(folder / "dropped.parquet")
    return describe(folder, rows, dropped, kept_text, divided=divided)


def read_documents(rows: Artefact) -> pl.LazyFrame:
    """Row, text and official split of each document; text that no classifier was trained on is trained on here."""
    official = pl.col("split").replace("unlabelled", "train")
    has_held = {"valid", "test"} & set(LabelledRowsSummary.of(rows).splits)
    documents = pl.scan_parquet(rows.file(ROWS_FILE)).select("row", "text", split=official)
    # Where a source has training text alone, the others are taken from it.
    split = pl.col("split") if has_held else pl.lit(None, pl.String)
    return documents.with_columns(split=split)


def choose_division(kept: pl.DataFrame, settings: LanguageSplitSettings) -> str:
    """How to divide: `official` where nothing is left to draw, else by `document` or by `position`.

    Raises InputError (E-DATA-003) where documents are to be drawn and there are not enough.
    """
    parts = set(kept["part"])
    open_rows = kept.filter(pl.col("part").is_in(open_parts(kept)))
    num_documents = open_rows["cluster"].n_unique()
    if open_rows.is_empty() or {"valid", "test"} <= parts:
        return "official"
    if settings.by == "position" or (settings.by == "auto" and num_documents < LEAST_DOCUMENTS):
        return "position"
    if num_documents < LEAST_APART:
        raise InputError(
            "E-DATA-003",
            f"found {plural(num_documents, 'distinct document')}, expected at least {LEAST_APART}, one for each split.",
            fix='set split.by = "position" to cut each document, or add documents.',
        )
    return "document"


def write_whole(folder: Path, documents: pl.LazyFrame, assigned: pl.DataFrame) -> None:
    """Write the documents of each split."""
    for name in SPLITS:
        members = assigned.lazy().filter(part=name).select("row")
        rows = documents.select("row", "text").join(members, on="row", how="semi", maintain_order="left")
        rows.sink_parquet(folder / f"{name}.parquet", compression="zstd", row_group_size=1_000)


def describe(
    folder: Path, rows: Artefact, dropped: pl.DataFrame, held: HeldText | None, *, divided: str
) -> DividedSummary:
    """Count what was written; where no test text is, the validation text stands for it."""
    sizes = {name: measure(folder / f"{name}.parquet") for name in SPLITS}
    test_is_valid = not sizes["test"][0]
    if test_is_valid:
        (folder / "test.parquet").write_bytes((folder / "valid.parquet").read_bytes())
        sizes["test"] = sizes["valid"]
    refuse_missing(sizes, divided)
    return DividedSummary(
        rows=sum(count for name, (count, _) in sizes.items() if not (test_is_valid and name == "test")),
        splits={name: count for name, (count, _) in sizes.items()},
        num_chars={name: num_chars for name, (_, num_chars) in sizes.items()},
        divided=divided,
        test_is_valid=test_is_valid,
        dropped=dict(dropped.group_by("reason").len().sort("reason").rows()),
        num_held=0 if held is None else held.num_rows,
        warnings=[
            *Summary.of(rows).warnings,
            *([] if held is None else held.warnings),
            *describe_dropped(dropped, rows.rows),
            *([NO_TEST] if test_is_valid else []),
        ],
    )


def measure(path: Path) -> tuple[int, int]:
    """Documents and characters of a split."""
    counts = pl.scan_parquet(path).select(pl.len(), num_chars=pl.col("text").str.len_chars().sum())
    return counts.collect(engine="streaming").row(0)


def refuse_missing(sizes: dict[str, tuple[int, int]], divided: str) -> None:
    """Raise InputError where there is nothing to train or to validate on: E-DATA-001, of too short texts E-DATA-060."""
    missing = next((name for name in ("train", "valid") if not sizes[name][1]), None)
    if missing is None:
        return
    if divided == "position":
        raise InputError(
            "E-DATA-060",
            f"found only {plural(sum(size for _, size in sizes.values()), 'character')}, which cannot be divided.",
            fix="add text.",
        )
    raise InputError(
        "E-DATA-001",
        f"no text is left to {'train' if missing == 'train' else 'validate'} on.",
        fix="name training rows and validation rows in the source, or check what was dropped.",
    )
