"""A look at what a recipe reads, before anything is started: whether the files are there and can be read."""

import polars as pl

from tasks.contract.recipe import Recipe
from tasks.kinds import find_kind
from tasks.panel.source import StampedSource
from tasks.panel.unfolding import read_rows
from tasks.sources.first_rows import read_first_rows
from tasks.sources.inputs import find_inputs, is_downloaded
from tasks.sources.intake import RowCheck
from tasks.sources.readers import read_files
from tasks.sources.settings import FileSettings


def refuse_unreadable(recipe: Recipe) -> None:
    """Check that all files exist, and the header and first rows of the first one; takes tenths of a second.

    The layout of built-in data sets is known, so they need only be there, or be downloaded by the run.
    Raises what `find_inputs` and stage `ingest` of the kind raise.
    """
    source = recipe.source
    # Packages of kinds that were written before this look leave the rows to their stage.
    row_check = getattr(find_kind(recipe.kind).ingest.load(), "row_check", None)
    if source.dataset == "files" and row_check is not None:
        look_at(source, row_check(source))
    elif not is_downloaded(source):
        find_inputs(source)


def look_at(source: FileSettings, row_check: RowCheck) -> pl.DataFrame:
    """The first rows of a source; those of series may stand in a wide table."""
    return read_first_rows(source, row_check, read_rows if isinstance(source, StampedSource) else read_files)
