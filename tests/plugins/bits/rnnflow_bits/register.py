"""A fitted classifier of lines to one that is served: its folder, its certificate, the proof of its answers."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rnnflow_bits.evaluate import read_predictions
from rnnflow_bits.labeller import KIND, PARTS, LineLabeller, Serving
from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.profile import write_profile
from tasks.labelled.fit import read_layout
from tasks.labelled.monitor import profile_validation
from tasks.labelled.proof import gather_judged, prove_answers, score_as_judged, tolerance_on
from tasks.registry.packaging import Packaging
from tasks.registry.served_parts import write_serving

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

EXAMPLE = "lines.csv"
LINES = ["0110", "11101"]


def assemble_parts(folder: Path, lineage: Lineage, best: Scored) -> None:
    """Gather in a folder what is needed to label lines as the evaluated model did."""
    folder.mkdir()
    for name in PARTS:
        artefact = lineage.encoded if name == "labels.json" else best.model
        shutil.copyfile(artefact.file(name), folder / name)
    layout = read_layout(lineage.shards)
    serving = Serving(
        source=lineage.rows.manifest["config"],
        max_length=layout["max_length"],
        keep=layout["keep"],
        temperature=json.loads(best.evaluation.file("metrics.json").read_bytes())["temperature"],
        batch_tokens=best.model.manifest["config"]["training"]["batch_tokens"],
    )
    write_serving(folder, kind=KIND, serving=dataclasses.asdict(serving), parts=PARTS)
    rows = read_predictions(best.model, lineage.encoded, "valid")
    write_profile(folder, profile_validation(rows, {"length": rows["length"].to_numpy()}, best, lineage))


def certify_parts(folder: Path, lineage: Lineage, num_rows: int) -> dict:
    """Certify on validation lines that the logits of a folder's model depend on the line alone."""
    from rnnmodels.classifiers.certificate import certify_invariance

    labeller = LineLabeller.load(folder)
    lines = pl.read_parquet(lineage.splits.file("valid.parquet"))["text"].head(num_rows)
    return dataclasses.asdict(certify_invariance(labeller.model, labeller.encode(lines.to_list())))


def prove_served(served: "PyFuncModel", lineage: Lineage, best: Scored) -> dict:
    """Compare a loaded model with the evaluation; raises IntegrityError (E-REG-005, E-REG-006)."""
    labeller: LineLabeller = served.unwrap_python_model().labeller
    judged = gather_judged(lineage, best, labeller.serving.batch_tokens)
    lines = judged.read_rows(lineage)["text"].to_list()
    return prove_answers(
        score_as_judged(labeller.model, judged, labeller.encode(lines)),
        np.array([[answer[label] for label in labeller.labels] for answer in served.predict(lines)]),
        judged.logits,
        temperature=labeller.serving.temperature,
        tolerance=tolerance_on(best.device),
    )


def choose_packaging(_lineage: Lineage) -> Packaging:
    """How a classifier of lines is packaged."""
    return Packaging(model_type="classifier", input_example=LINES)


def write_example(path: Path, lineage: Lineage) -> None:
    """Write an input to try the model with."""
    column = lineage.rows.manifest["config"]["bits_column"]
    path.write_text("\n".join([column, *LINES, ""]), encoding="utf-8")


def describe_model(contest: Contest) -> str:
    """Say in Markdown what a version scores and what it takes."""
    return f"`{contest.best.name}`: test accuracy {contest.best.test['accuracy']['value']:.4f}. It takes lines of bits."


def show_use(_packaging: Packaging) -> str:
    """Lines of Python that use the loaded model."""
    return f"model.predict({json.dumps(LINES)})"


def name_encoder(_lineage: Lineage) -> dict[str, str]:
    """Nothing is learned to encode."""
    return {}
