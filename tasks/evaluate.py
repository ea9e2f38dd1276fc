"""Stage `evaluate`: what a model is worth, from the predictions it stored once.

No model runs here, so candidates and baselines are treated alike; nothing is chosen on test.
"""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import task_run

from tasks.contract.evaluation import EvaluationSettings
from tasks.contract.kind import Kind
from tasks.contract.lineage import Lineage
from tasks.contract.summaries import NamedSummary
from tasks.store import artefacts
from tasks.store.artefacts import Artefact


def name_run() -> str:
    """Name a task run after the model that it scores."""
    return f"evaluate-{NamedSummary.of(task_run.parameters['model']).name}"


@task(name="evaluate", task_run_name=name_run, cache_policy=NO_CACHE, persist_result=False)
def evaluate(kind: Kind, model: Artefact, lineage: Lineage, settings: EvaluationSettings) -> Artefact:
    """Score a model's stored predictions on validation and test."""
    evaluating = kind.evaluate.load()
    inputs = {"model": model, **lineage.pick(evaluating.INPUTS)}
    write = partial(evaluating.write_evaluation, **inputs, settings=settings)
    return artefacts.build("evaluate", write, module=kind.evaluate.name, config=settings, inputs=inputs)
