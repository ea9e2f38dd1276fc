"""Stage `split`: rows to training, validation and test rows that share nothing."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import store
from tasks.part import Part
from tasks.store import Artefact


@task(name="split", cache_policy=NO_CACHE, persist_result=False)
def split(rows: Artefact, settings: Part, held: Artefact | None = None) -> Artefact:
    """Divide rows into splits; where `held` must stay in place, its validation and test rows are kept."""
    splitting = settings.performer()
    held = held if splitting.must_hold(held, rows, settings) else None
    write = partial(splitting.write_splits, rows=rows, settings=settings, held=held)
    inputs = {"rows": rows} if held is None else {"rows": rows, "held": held}
    return store.build("split", write, module=settings.modules(), config=settings, inputs=inputs)
