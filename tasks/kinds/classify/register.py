"""What stage `register` needs of a text classifier: its folder, its certificate and the proof that it is served."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.kinds.classify import proof
from tasks.kinds.classify.classifier import Serving, TextClassifier, complete_classifier
from tasks.kinds.classify.monitor import reference_profile
from tasks.labelled.fit import open_shards_of, read_layout
from tasks.registry.packaging import Packaging

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

EXAMPLES = ["One of the best films of the year.", "Dull from start to finish."]
EXAMPLE = "texts.txt"
PACKAGING = Packaging(model_type="classifier", input_example=EXAMPLES)


def assemble_parts(folder: Path, lineage: Lineage, best: Scored) -> None:
    """Gather in a folder what is needed to classify raw texts as the evaluated model did."""
    parts = {"model.safetensors": best.model, "model.json": best.model}
    parts |= {"vocabulary.json": lineage.encoded, "labels.json": lineage.encoded}
    folder.mkdir()
    for name, artefact in parts.items():
        shutil.copyfile(artefact.file(name), folder / name)
    layout = read_layout(lineage.shards)
    serving = Serving(
        source=lineage.rows.manifest["config"],
        name=best.name,
        max_length=layout["max_length"],
        keep=layout["keep"],
        temperature=json.loads(best.evaluation.file("metrics.json").read_bytes())["temperature"],
        batch_tokens=best.model.manifest["config"]["training"]["batch_tokens"],
    )
    complete_classifier(folder, serving, reference_profile(best, lineage))


def certify_parts(folder: Path, lineage: Lineage, num_rows: int) -> dict:
    """Certify on validation texts that the logits of a folder's model depend on the text alone."""
    texts = sample_texts(lineage.splits.file("valid.parquet"), num_rows)
    return proof.certify(TextClassifier.load(folder), texts)


def prove_served(served: "PyFuncModel", lineage: Lineage, best: Scored) -> dict:
    """Compare a loaded model with the evaluation.

    Raises IntegrityError (E-REG-005, E-REG-006) if the registered model is not the one that was judged.
    """
    return proof.prove_served(served, gather_judged(lineage, best))


def gather_judged(lineage: Lineage, best: Scored) -> proof.Judged:
    """Take some test rows of the best model as it was evaluated on them."""
    batch_tokens = best.model.manifest["config"]["training"]["batch_tokens"]
    return proof.judged_rows(
        open_shards_of(lineage.shards)["test"].batches(batch_tokens),
        texts=pl.scan_parquet(lineage.splits.file("test.parquet")),
        predictions=pl.scan_parquet(best.model.file("predictions.parquet")).filter(split="test"),
        device=best.device,
    )


def sample_texts(path: Path, num_rows: int) -> list[str]:
    """Take texts evenly spread over a split."""
    texts = pl.read_parquet(path, columns=["text"])["text"]
    return texts.gather_every(max(1, len(texts) // num_rows)).head(num_rows).to_list()


def choose_packaging(_lineage: Lineage) -> Packaging:
    """How a text classifier is packaged."""
    return PACKAGING


def describe_model(contest: Contest) -> str:
    """Say in Markdown what a version scores and what it takes."""
    accuracy = contest.best.test["accuracy"]
    return (
        f"`{contest.best.name}`: test accuracy {accuracy['value']:.4f} "
        f"({accuracy['low']:.4f} to {accuracy['high']:.4f}). It takes raw texts."
    )


def write_example(path: Path, _lineage: Lineage) -> None:
    """Write an input to try the model with."""
    path.write_text("\n".join([*EXAMPLES, ""]), encoding="utf-8")


def show_use(_packaging: Packaging) -> str:
    """Lines of Python that use the loaded model, as a user writes them."""
    return f"model.predict({json.dumps(EXAMPLES[:1])})"


def name_encoder(lineage: Lineage) -> dict[str, str]:
    """Tag by which a version names its vocabulary."""
    return {"rnnflow.vocabulary": lineage.encoded.manifest["files"]["vocabulary.json"]["sha256"]}
