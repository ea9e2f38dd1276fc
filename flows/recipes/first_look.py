"""A look at what a recipe reads, before anything is started: whether the files are there and can be read."""

from tasks.contract.recipe import Recipe
from tasks.kinds import find_kind
from tasks.sources.first_rows import read_first_rows
from tasks.sources.inputs import find_inputs, is_downloaded


def refuse_unreadable(recipe: Recipe) -> None:
    """Check that all files exist, and the header and first rows of the first one; takes tenths of a second.

    The layout of built-in data sets is known, so they need only be there, or be downloaded by the run.
    Raises what `find_inputs` and stage `ingest` of the kind raise.
    """
    source = recipe.source
    # Packages of kinds that were written before this look leave the rows to their stage.
    row_check = getattr(find_kind(recipe.kind).ingest.load(), "row_check", None)
    # Of wide tables the stage finds out which columns hold numbers.
    is_wide = getattr(source, "layout", "table") != "table"
    if source.dataset == "files" and row_check is not None and not is_wide:
        read_first_rows(source, row_check(source))
    elif not is_downloaded(source):
        find_inputs(source)
