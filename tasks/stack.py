"""Stage `stack`: the best candidate joined with the best baseline, as one more candidate.

What a network reads in order and what a linear model counts go wrong on different rows, so together they may be better
than each. Both, and the weight between them, are chosen on validation; the join is judged there like any candidate.
"""

from functools import partial
from typing import NamedTuple

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.contract.contest import Contest
from tasks.contract.kind import Kind
from tasks.contract.stacking import STACKED, StackSettings
from tasks.contract.summaries import ModelSummary
from tasks.store import artefacts
from tasks.store.artefacts import Artefact


class Stacked(NamedTuple):
    """A join with predictions, or one that is no better than its candidate, which holds a warning alone."""

    fitted: tuple[Artefact, ...]
    left_out: tuple[Artefact, ...]


def modules_of(kind: Kind) -> tuple[str, ...]:
    """Where the code of a join begins: this stage, and the kind's part; nowhere, where a kind has none."""
    return () if kind.stack is None else (__name__, kind.stack.name)


@task(name="stack", cache_policy=NO_CACHE, persist_result=False)
def stack(kind: Kind, contest: Contest, settings: StackSettings | None) -> Stacked:
    """Join the best candidate with the best baseline; nothing is joined where there is none, or the recipe says so."""
    if kind.stack is None or settings is None or not settings.with_baseline or contest.baseline is None:
        return Stacked((), ())
    candidate, inputs = contest.best.model, {"candidate": contest.best.model, "baseline": contest.baseline.model}
    joined = artefacts.build(
        "stack",
        partial(kind.stack.load().write_stacked, **inputs, settings=settings),
        module=modules_of(kind),
        # It reads rows as the candidate does, and was fitted like it.
        config={**candidate.manifest["config"], "name": STACKED, "stack": settings.model_dump(mode="json")},
        inputs=inputs,
    )
    return Stacked((), (joined,)) if ModelSummary.of(joined).left_out else Stacked((joined,), ())
