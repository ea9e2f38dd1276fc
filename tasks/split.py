"""Stage `split`: rows to training, validation and test rows that share nothing."""

from functools import partial
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from rnnmodels.config import Settings
from tasks.contract.kind import Kind
from tasks.contract.summaries import SplitSummary
from tasks.store import artefacts
from tasks.store.artefacts import Artefact


def write_splits(
    folder: Path, *, kind: Kind, rows: Artefact, settings: Settings, held: Artefact | None
) -> SplitSummary:
    """Divide rows as the kind does; the summary says for which kind, as the test rows of a model are kept by name."""
    divided = kind.split.load().write_splits(folder, rows=rows, settings=settings, held=held)
    return divided.model_copy(update={"kind": kind.name})


@task(name="split", cache_policy=NO_CACHE, persist_result=False)
def split(kind: Kind, rows: Artefact, settings: Settings, held: Artefact | None = None) -> Artefact:
    """Divide rows into splits; where `held` must stay in place, its validation and test rows are kept."""
    held = held if kind.split.load().must_hold(held, rows, settings) else None
    write = partial(write_splits, kind=kind, rows=rows, settings=settings, held=held)
    inputs = {"rows": rows} if held is None else {"rows": rows, "held": held}
    return artefacts.build("split", write, module=kind.split.name, config=settings, inputs=inputs)
