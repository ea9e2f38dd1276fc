"""What stage `register` needs of a language model: its folder, its certificate and the proof that it is served."""

import dataclasses
import itertools
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rnnmodels.deviation import largest_deviation
from rnnmodels.language.token_streams import open_stream
from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.profile import write_profile
from tasks.errors import IntegrityError
from tasks.kinds.language.monitor import reference_profile
from tasks.kinds.language.served_language_model import (
    ENCODER,
    NETWORK,
    VOCABULARY_FILE,
    LanguageServing,
    ServedLanguageModel,
)
from tasks.kinds.language.token_losses import BLOCK, SCORES_FILE, open_split
from tasks.registry.packaging import Packaging
from tasks.registry.proving import sample_rows, tolerance_on
from tasks.text.vocabulary import UNKNOWN_ID, Vocabulary
from tasks.text.writer import BOUNDARY_ID

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

EXAMPLE = "text.txt"
EXAMPLE_CHARS = 2_000
PROMPT_TOKENS = 16
SAMPLING = {"length": 200, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "seed": 0}
# Documents are certified and proved by their beginnings, which say enough and take seconds.
CERTIFIED_TOKENS = 64
MOST_CERTIFIED = 32  # more would show no more, and each is read several times
PROVED_TOKENS = 8 * BLOCK
PROVED_LENGTH = 64


def assemble_parts(folder: Path, lineage: Lineage, best: Scored) -> None:
    """Gather in a folder what is needed to read texts as the evaluated model did, and to write them."""
    folder.mkdir()
    for artefact, names in ((best.model, NETWORK), (lineage.encoded, ENCODER)):
        for name in names:
            shutil.copyfile(artefact.file(name), folder / name)
    # The text of a single document has no end that could be learned.
    closed = len(open_split(lineage.shards, "train").documents.row) > 1
    source = lineage.rows.manifest["config"]
    ServedLanguageModel.complete(folder, LanguageServing(name=best.name, source=source, closed=closed))
    write_profile(folder, reference_profile(ServedLanguageModel.load(folder), lineage))


def certify_parts(folder: Path, lineage: Lineage, num_rows: int) -> dict[str, Any]:
    """Certify on validation documents that what a document costs depends on it alone.

    A single document is cut into as many passages. Raises IntegrityError (E-REG-005).
    """
    from rnnmodels.language.certificate import certify_independence

    num_rows = min(num_rows, MOST_CERTIFIED)
    rows = sample_rows(lineage.encoded.file("valid.parquet"), num_rows)["tokens"].to_list()
    passages = cut_passages(rows[0], num_rows) if len(rows) == 1 else rows
    documents = [np.array(tokens[:CERTIFIED_TOKENS]) for tokens in passages]
    certificate = certify_independence(ServedLanguageModel.load(folder).model, documents)
    if not certificate.passed:
        raise IntegrityError(
            "E-REG-005",
            f"what a text costs depends on those scored with it, by {max(certificate.deviations.values()):.3g} "
            f"nats per token, more than {certificate.tolerance:g}.",
            fix="this is a bug in rnnflow: please report it with the recipe.",
        )
    return dataclasses.asdict(certificate)


def prove_served(served: "PyFuncModel", lineage: Lineage, best: Scored) -> dict[str, Any]:
    """Compare a loaded model with what was evaluated: how it reads test texts, what they cost, and what it writes.

    Raises IntegrityError (E-REG-005) for other tokens, (E-REG-006) for other costs or another text.
    """
    model: ServedLanguageModel = served.unwrap_python_model().model
    refuse_other_tokens(model, lineage)
    nats, expected = measure_blocks(model, lineage, best)
    deviation, tolerance = largest_deviation(nats, expected), tolerance_on(best.device)
    if not deviation <= tolerance:
        raise _other_model(f"differs from the evaluated one by {deviation:.3g} nats per token, more than {tolerance:g}")
    if not model.is_backward:
        refuse_other_text(served, best, choose_prompt(lineage))
    return {"rows": len(expected), "tolerance": tolerance, "deviations": {"nats_per_token": deviation}}


def cut_passages(tokens: Sequence[int], num_passages: int) -> list[Sequence[int]]:
    """Passages that are evenly spread over a document; fewer if it is too short for them."""
    step = max(CERTIFIED_TOKENS, len(tokens) // num_passages)
    return [tokens[start : start + CERTIFIED_TOKENS] for start in range(0, len(tokens), step)][:num_passages]


def refuse_other_tokens(model: ServedLanguageModel, lineage: Lineage) -> None:
    """Refuse a model that reads the first, the middle or the last test text otherwise than the stage `encode` did.

    Raises IntegrityError (E-REG-005).
    """
    encoded = pl.read_parquet(lineage.encoded.file("test.parquet"))
    wanted = encoded[choose_some(encoded.height)]
    split = pl.scan_parquet(lineage.splits.file("test.parquet")).select("row", "text")
    texts = wanted.lazy().join(split, on="row", how="left", maintain_order="left").collect()["text"]
    read = model.reader.read(texts.to_list())
    for index, (row, tokens, num_chars) in enumerate(wanted.select("row", "tokens", "num_chars").iter_rows()):
        if read.ids[index].tolist() != tokens or read.num_chars[index] != num_chars:
            raise IntegrityError(
                "E-REG-005",
                f"row {row}: the served model encodes it differently from the evaluated one.",
                fix="run again with --refresh; if it persists, the served encoder differs from the stage `encode`.",
            )


def measure_blocks(model: ServedLanguageModel, lineage: Lineage, best: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Nats per token of the first blocks of some test documents: as served, and as evaluated."""
    from rnnmodels.language.scoring import score_documents

    files = (lineage.shards.file(name) for name in ("test.arrow", "test-documents.arrow"))
    stream = open_stream(*files, bptt=BLOCK, backward=model.is_backward)
    scores = pl.scan_parquet(best.model.file(SCORES_FILE)).filter(pl.col("split") == "test")
    served, evaluated = [], []
    for index in choose_some(len(stream.documents.row)):
        targets = stream.targets_of(index)
        if not model.is_backward:
            targets = targets[:PROVED_TOKENS]
        [nats] = score_documents(model.model, [targets], closed=False)
        if model.is_backward:  # blocks are those of the text in its own order
            num_tokens = len(targets) - int(targets[-1] == BOUNDARY_ID)
            nats = np.append(nats[:num_tokens][::-1], nats[num_tokens:])
        starts = np.arange(0, len(targets), BLOCK)
        sizes = np.diff([*starts, len(targets)])
        served.append(np.add.reduceat(nats, starts, dtype=np.float64) / sizes)
        blocks = scores.filter(pl.col("row") == stream.documents.row[index]).sort("block").head(len(starts))
        evaluated.append(blocks.select(pl.col("nats") / pl.col("num_tokens")).collect().to_series().to_numpy())
    return np.concatenate(served), np.concatenate(evaluated)


def refuse_other_text(served: "PyFuncModel", best: Scored, prompt: str) -> None:
    """Refuse a model that continues a prompt otherwise than the evaluated network does.

    Raises IntegrityError (E-REG-006).
    """
    from rnnmodels.language.language_model import LanguageModel
    from rnnmodels.training.checkpoint import load_model

    evaluated = load_model(LanguageModel, best.model.file("model.json").parent)
    model = dataclasses.replace(served.unwrap_python_model().model, model=evaluated)
    likeliest = SAMPLING | {"length": PROVED_LENGTH, "temperature": 0.0}
    if served.predict([prompt], params=likeliest) != ["".join(model.generate(prompt, **likeliest))]:
        raise _other_model("continues a text differently from the evaluated one")


def choose_some(number: int) -> list[int]:
    """The first, the middle and the last of so many."""
    return sorted({0, number // 2, number - 1})


def choose_prompt(lineage: Lineage) -> str:
    """The beginning of the first training text, as far as all of it is known to the vocabulary."""
    beginning = pl.scan_parquet(lineage.encoded.file("train.parquet")).select(pl.col("tokens").list.head(PROMPT_TOKENS))
    ids = beginning.head(1).collect().item().to_list()
    known = itertools.takewhile(lambda token: token != UNKNOWN_ID, ids)
    return Vocabulary.load(lineage.encoded.file(VOCABULARY_FILE)).text_of(known)


def choose_packaging(lineage: Lineage) -> Packaging:
    """How a language model is packaged; the example is a prompt."""
    return Packaging(model_type="language-model", input_example=[choose_prompt(lineage)], params=SAMPLING)


def write_example(path: Path, lineage: Lineage) -> None:
    """Write the beginning of a validation text, in the encoding in which the model reads files."""
    valid = pl.scan_parquet(lineage.splits.file("valid.parquet")).select(pl.col("text").str.head(EXAMPLE_CHARS))
    encoding = lineage.rows.manifest["config"].get("encoding", "utf-8")
    path.write_text(valid.head(1).collect().item(), encoding=encoding)


def describe_model(contest: Contest) -> str:
    """Say in Markdown what a version scores and what it takes."""
    nats = contest.best.test["nats_per_char"]
    return (
        f"`{contest.best.name}`: test {nats['value']:.4f} nats per character "
        f"({nats['low']:.4f} to {nats['high']:.4f}). It takes prompts and continues each."
    )


def show_use(packaging: Packaging) -> str:
    """Lines of Python that use the loaded model, as a user writes them."""
    return f"model.predict({json.dumps(packaging.input_example)}, params={json.dumps(packaging.params)})"


def name_encoder(lineage: Lineage) -> dict[str, str]:
    """Tag by which a version names its vocabulary."""
    return {"rnnflow.vocabulary": lineage.encoded.manifest["files"][VOCABULARY_FILE]["sha256"]}


def _other_model(how: str) -> IntegrityError:
    return IntegrityError(
        "E-REG-006",
        f"the registered model {how}.",
        fix="run again with --refresh; if it persists, what is served is not what was evaluated.",
    )
