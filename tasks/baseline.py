"""Stage `baseline`: models without a network, scored on the rows that the candidates see.

They are there for comparison, so one that cannot be fitted to the data is left out with a warning, and the run goes on.
"""

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from prefect import task
from prefect.cache_policies import NO_CACHE

from rnnmodels.config import Settings
from tasks.contract.kind import Kind
from tasks.contract.lineage import Lineage
from tasks.contract.summaries import ModelSummary
from tasks.errors import InputError, printable
from tasks.progress import Progress, emit
from tasks.store import artefacts
from tasks.store.artefacts import Artefact

# What a fit raises for data that it cannot cope with; anything else is an error of the program and ends the run.
UNFIT = (InputError, ValueError, ArithmeticError, MemoryError)


class Baselines(NamedTuple):
    """Baselines with predictions, and those that could not be fitted, which hold a warning alone.

    One that the recipe does not ask for is neither.
    """

    fitted: tuple[Artefact, ...]
    left_out: tuple[Artefact, ...]


def write_or_leave_out(
    folder: Path,
    *,
    name: str,
    write: Callable[..., ModelSummary],
    inputs: Mapping[str, Artefact],
    settings: Settings,
) -> ModelSummary:
    """Fill the artefact's folder by a baseline's own function; where it cannot, leave it empty and say why."""
    try:
        return write(folder, **inputs, settings=settings)
    except UNFIT as error:
        shutil.rmtree(folder)
        folder.mkdir()
        reason = printable(" ".join(str(error).split()) or "out of memory")
        warning = f"the baseline {name} was left out, because it could not be fitted to these rows: {reason}"
        emit(Progress("baseline", name, note=warning))
        return ModelSummary(rows=0, name=name, train_s=0, left_out=True, warnings=[warning])


def modules_of(kind: Kind) -> tuple[str, ...]:
    """Where the code of a baseline begins: this stage, which may leave it out, and the kind's part."""
    return __name__, kind.baseline.name


@task(name="baseline", cache_policy=NO_CACHE, persist_result=False)
def fit_baselines(kind: Kind, lineage: Lineage, settings: Settings) -> Baselines:
    """Fit every baseline of the kind, and store its predictions in the form of a candidate's."""
    baselines = kind.baseline.load()
    inputs = lineage.pick(baselines.INPUTS)
    built = [
        artefacts.build(
            "baseline",
            partial(write_or_leave_out, name=name, write=write, inputs=inputs, settings=settings),
            module=modules_of(kind),
            config={"name": name, **settings.model_dump(mode="json")},
            inputs=inputs,
        )
        for name, write in baselines.BASELINES.items()
    ]
    summaries = [(one, ModelSummary.of(one)) for one in built]
    return Baselines(
        fitted=tuple(one for one, summary in summaries if not summary.left_out),
        left_out=tuple(one for one, summary in summaries if summary.left_out and summary.warnings),
    )
