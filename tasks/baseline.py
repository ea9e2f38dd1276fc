"""Stage `baseline`: models without a network, scored on the rows that the candidates see."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import store
from tasks.lineage import Lineage
from tasks.part import Part
from tasks.store import Artefact


@task(name="baseline", cache_policy=NO_CACHE, persist_result=False)
def fit_baselines(lineage: Lineage, settings: Part) -> list[Artefact]:
    """Fit every baseline of the recipe's kind, and store what it predicts as of any model."""
    baselines = settings.performer()
    inputs = lineage.pick(baselines.INPUTS)
    return [
        store.build(
            "baseline",
            partial(write, **inputs, settings=settings),
            module=settings.modules(),
            config={"name": name, **settings.model_dump(mode="json")},
            inputs=inputs,
        )
        for name, write in baselines.BASELINES.items()
    ]
