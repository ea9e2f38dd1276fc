"""What stage `register` needs of a classifier, whatever it reads: its folder, its certificate and its proof."""

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import polars as pl

from rnnmodels.config import Optimization, Training
from rnnmodels.deviation import largest_deviation
from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.profile import Profile, write_profile
from tasks.labelled.calibration import calibrated_probabilities
from tasks.labelled.evaluate import read_sample
from tasks.labelled.fit import read_layout
from tasks.labelled.labeller import NETWORK, Labeller
from tasks.labelled.proof import gather_judged, prove_answers, score_as_judged
from tasks.labelled.stack import describe_join, scales_of
from tasks.registry.packaging import Packaging
from tasks.registry.proving import sample_rows, tolerance_on

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

LabellerT = TypeVar("LabellerT", bound=Labeller[Any])


@dataclass(frozen=True, kw_only=True)
class LabelledRegistration(Generic[LabellerT]):
    """How classifiers of a kind are registered: here those of texts, of which one is asked as a list of strings.

    takes: what the model takes, for its description. EXAMPLE: the file of `texts` to try it with, under the name that
    the source's setting `column` gives their column, if there is one. encoder: tags that name the encoder, and files
    of the stage `encode` by which they do. training: the settings that models are fitted by.
    """

    labeller: type[LabellerT]
    takes: str
    EXAMPLE: str
    texts: Sequence[str] = ()
    column: str = ""
    encoder: Mapping[str, str] = field(default_factory=dict)
    training: type[Optimization] = Training

    def assemble_parts(self, folder: Path, lineage: Lineage, best: Scored) -> None:
        """Gather in a folder what is needed to answer raw rows as the evaluated model did."""
        folder.mkdir()
        scales = scales_of(best.model)
        own = NETWORK if scales is None else (*NETWORK, *self.labeller.linear_files)
        for artefact, names in ((best.model, own), (lineage.encoded, self.labeller.encoder_files)):
            for name in names:
                shutil.copyfile(artefact.file(name), folder / name)
        layout = read_layout(lineage.shards)
        serving = self.labeller.serving_type(
            source=lineage.rows.manifest["config"],
            name=best.name,
            max_length=layout["max_length"],
            keep=layout["keep"],
            temperature=json.loads(best.evaluation.file("metrics.json").read_bytes())["temperature"],
            batch_steps=self.training(**best.model.manifest["config"]["training"]).batch_size,
            scales=scales,
        )
        self.labeller.complete(folder, serving)
        write_profile(folder, profile_validation(self.labeller.load(folder), lineage, best))

    def certify_parts(self, folder: Path, lineage: Lineage, num_rows: int) -> dict[str, Any]:
        """Certify on validation rows that the logits of a folder's model depend on the row alone."""
        from rnnmodels.classifiers.certificate import certify_invariance

        model, rows = self.labeller.load(folder), sample_rows(lineage.splits.file("valid.parquet"), num_rows)
        read = model.read(model.take(rows))
        certificate = dataclasses.asdict(certify_invariance(model.model, read.sequences))
        return certificate if read.linear is None else certify_linear(certificate, model, rows, read.linear)

    def prove_served(self, served: "PyFuncModel", lineage: Lineage, best: Scored) -> dict[str, Any]:
        """Compare a loaded model with the evaluation, on the first, the middle and the last test batch.

        Raises IntegrityError (E-REG-005) for other steps, (E-REG-006) for other logits or probabilities.
        """
        labeller: LabellerT = served.unwrap_python_model().model
        judged = gather_judged(lineage, best, labeller.serving.batch_steps)
        rows, probabilities = self.ask(served, labeller, judged.read_rows(lineage))
        read = labeller.read(rows)
        return prove_answers(
            labeller.join(score_as_judged(labeller.model, judged, read.sequences), read),
            probabilities,
            judged.logits,
            temperature=labeller.serving.temperature,
            tolerance=tolerance_on(best.device),
        )

    def ask(self, served: "PyFuncModel", labeller: LabellerT, rows: pl.DataFrame) -> tuple[Any, np.ndarray]:
        """Ask a loaded model as its users do: what it reads of rows of a split, and its probabilities [n, classes]."""
        texts = labeller.take(rows)
        answers = served.predict(texts)
        assert isinstance(answers, list)
        return texts, np.array([[answer.probabilities[label] for label in labeller.labels] for answer in answers])

    def choose_packaging(self, _lineage: Lineage, /) -> Packaging:
        """How a classifier is packaged."""
        return Packaging(model_type="classifier", input_example=list(self.texts))

    def write_example(self, path: Path, lineage: Lineage, /) -> None:
        """Write an input to try the model with, in the encoding in which it reads files."""
        source = lineage.rows.manifest["config"]
        header = [source[self.column]] if self.column else []
        path.write_text("\n".join([*header, *self.texts, ""]), encoding=source.get("encoding", "utf-8"))

    def show_use(self, packaging: Packaging, /) -> str:
        """Lines of Python that use the loaded model, as a user writes them."""
        if packaging.takes_table:
            columns = ", ".join(packaging.columns)
            return f'table = pandas.read_csv("{self.EXAMPLE}")  # columns: {columns}\nmodel.predict(table)'
        return f"model.predict({json.dumps(packaging.input_example[:1])})"

    def describe_model(self, contest: Contest) -> str:
        """Say in Markdown what a version scores and what it takes."""
        accuracy, joined = contest.best.test["accuracy"], describe_join(contest.best.model)
        return (
            f"`{contest.best.name}`: test accuracy {accuracy['value']:.4f} "
            f"({accuracy['low']:.4f} to {accuracy['high']:.4f}). {joined}It takes {self.takes}."
        )

    def name_encoder(self, lineage: Lineage) -> dict[str, str]:
        """Tags by which a version names its encoder."""
        files = lineage.encoded.manifest["files"]
        return {tag: files[name]["sha256"] for tag, name in self.encoder.items()}


def certify_linear(
    certificate: dict[str, Any], model: Labeller[Any], rows: pl.DataFrame, together: np.ndarray
) -> dict[str, Any]:
    """Add to a network's certificate that rows change one another's logits [n, classes] of the linear model no more."""
    assert model.linear is not None
    alone = np.concatenate([model.linear.logits(model.take(row)) for row in rows.iter_slices(1)])
    deviation = largest_deviation(together, alone)
    return {
        **certificate,
        "deviations": {**certificate["deviations"], "linear_batch_mates": deviation},
        "passed": certificate["passed"] and deviation <= certificate["tolerance"],
    }


def profile_validation(labeller: Labeller[Any], lineage: Lineage, best: Scored) -> Profile:
    """Count the validation rows of an evaluated model: as the served one reads them, with the answers that were stored.

    Not the training rows: a model has seen them, so it is surer of them, and finds hardly a token of a text unknown;
    any new row would look like drift. Not the test rows: they decide promotions and are not used for anything else.
    Choosing the epoch by validation flatters the accuracy there a little, which `tasks.monitoring.drift` allows for.
    """
    rows = pl.read_parquet(lineage.splits.file("valid.parquet")).sort("row")
    predictions = pl.scan_parquet(best.model.file("predictions.parquet")).filter(split="valid").sort("row").collect()
    logits, _ = read_sample(predictions)
    probabilities = calibrated_probabilities(logits, labeller.serving.temperature)
    return labeller.profile(labeller.read(labeller.take(rows)), probabilities, rows["label"].to_list())
