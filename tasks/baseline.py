"""Stage `baseline`: models without a network, scored on the rows that the candidates see."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from rnnmodels.config import Settings
from tasks.contract.kind import Kind
from tasks.contract.lineage import Lineage
from tasks.store import artefacts
from tasks.store.artefacts import Artefact


@task(name="baseline", cache_policy=NO_CACHE, persist_result=False)
def fit_baselines(kind: Kind, lineage: Lineage, settings: Settings) -> list[Artefact]:
    """Fit every baseline of the kind, and store its predictions in the form of a candidate's."""
    baselines = kind.baseline.load()
    inputs = lineage.pick(baselines.INPUTS)
    return [
        artefacts.build(
            "baseline",
            partial(write, **inputs, settings=settings),
            module=kind.baseline.name,
            config={"name": name, **settings.model_dump(mode="json")},
            inputs=inputs,
        )
        for name, write in baselines.BASELINES.items()
    ]
