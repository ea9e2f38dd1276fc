"""A drafted recipe put to the test before it is written: validated, and its rows read as training reads them."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from flows.recipes.drafted_recipe import Drafted
from flows.recipes.recipe import build_recipe
from flows.recipes.written_recipe import write_recipe
from tasks.contract.recipe import Recipe
from tasks.discovery.files import MIB
from tasks.kinds import find_kind
from tasks.sources.input_files import suffixes_of
from tasks.sources.inputs import find_inputs

WHOLE_BYTES, HEAD_BYTES = 4 * MIB, MIB
SHOWN_ROWS = 5
# Of a run without any rows, and what torch, Prefect and MLflow take.
START_S, START_BYTES = 15, 900 * MIB
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
    found, source = drafted.seen.found, recipe.source
    if found.num_bytes > WHOLE_BYTES:
        if not found.head or source.dataset != "files" or found.head.startswith(b"PAR1"):
            return pl.DataFrame()
        head = folder / f"{drafted.name}{suffixes_of(found.name)[0]}"
        head.write_bytes(found.head[:HEAD_BYTES].rpartition(b"\n")[0] + b"\n")
        source = source.model_copy(update={"path": str(head)})
    inputs = find_inputs(source)
    out = folder / "rows"
    out.mkdir()
    find_kind(recipe.kind).ingest.load().write_rows(out, settings=source, inputs=inputs, digest=inputs.digest())
    rows = pl.scan_parquet(out / "rows.parquet").head(SHOWN_ROWS).collect()
    return rows.drop("row", "source", "split", "later", strict=False)
