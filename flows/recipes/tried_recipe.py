"""A drafted recipe put to the test before it is written: validated, and its rows read as training reads them."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from flows.recipes.drafted_recipe import Drafted
from flows.recipes.first_look import look_at
from flows.recipes.recipe import build_recipe
from flows.recipes.written_recipe import write_recipe
from tasks.contract.recipe import Recipe
from tasks.discovery.files import MIB
from tasks.kinds import find_kind
from tasks.sources.inputs import find_inputs

# A source up to this size is read as a whole, so that all its rows are known to be good.
WHOLE_BYTES = 4 * MIB
ASIDE = ("row", "file", "line", "source", "split", "later")
SHOWN_ROWS = 5
# Of a run without any rows, and what torch, Prefect and MLflow take.
START_S, START_BYTES = 25, 900 * MIB
COPIES = 4


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A recipe that is read without a fault: its first rows, and about what training takes."""

    recipe: Recipe
    rows: pl.DataFrame
    seconds: float
    num_bytes: int


def try_recipe(drafted: Drafted) -> Tried:
    """Validate a draft, and read its rows; of a large table the first.

    Raises what training raises: InputError of any kind.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{drafted.name}.toml")
        path.write_text(write_recipe(drafted, is_open=False), encoding="utf-8")
        recipe = build_recipe(path, drafted.as_table())
        rows = _read(recipe, drafted, Path(folder))
    epochs = sum(candidate.training.epochs for candidate in recipe.candidates)
    return Tried(
        recipe=recipe,
        rows=rows,
        seconds=START_S + epochs * drafted.draft.values / drafted.draft.rate,
        num_bytes=START_BYTES + COPIES * min(drafted.seen.found.num_bytes, 2**30),
    )


def _read(recipe: Recipe, drafted: Drafted, folder: Path) -> pl.DataFrame:
    """The first rows, after the whole source if it is small."""
    source, ingest = recipe.source, find_kind(recipe.kind).ingest.load()
    if drafted.seen.found.num_bytes <= WHOLE_BYTES:
        inputs = find_inputs(source)
        ingest.write_rows(folder, settings=source, inputs=inputs, digest=inputs.digest())
        rows = pl.read_parquet(folder / "rows.parquet", n_rows=SHOWN_ROWS)
    else:
        rows = look_at(source, ingest.row_check(source)).head(SHOWN_ROWS)
        if getattr(source, "time_unit", "step") not in ("step", "order"):
            rows = rows.with_columns(pl.col("time").cast(pl.Datetime("us")))
    return rows.drop(ASIDE, strict=False)
