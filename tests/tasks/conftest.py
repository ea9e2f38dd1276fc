"""Fixtures for stages that write to MLflow."""

import random
import shutil
from pathlib import Path

import polars as pl
import pytest

from rnnmodels.config import Architecture, Training
from tasks.baseline import fit_baselines
from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.registration import RegistrySettings
from tasks.encode import encode
from tasks.evaluate import evaluate
from tasks.fit import fit
from tasks.gate import gate
from tasks.kinds.classify.baseline import BaselineSettings
from tasks.kinds.classify.encode import EncodeSettings
from tasks.kinds.classify.recipe import CLASSIFY, ShardSettings
from tasks.labelled.evaluate import ClassificationSettings
from tasks.labelled.fit import ClassifierCandidate
from tasks.labelled.promotion import PromotionSettings
from tasks.register import register
from tasks.shard import shard
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.tracking import mlflow_client
from tasks.tracking.outbox import end_run
from tasks.tracking.runs import RunContext


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs; creating one takes seconds, copying it nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(tmp_path_factory.mktemp("empty")))
        mlflow_client.connect()
        return mlflow_client.mlruns() / "mlflow.db"


@pytest.fixture
def mlflow_store(project: Path, empty_database: Path) -> Path:
    """The project's own MLflow store, empty; returns its folder."""
    folder = project / "mlruns"
    folder.mkdir()
    shutil.copyfile(empty_database, folder / "mlflow.db")
    return folder


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lineage, Contest]:
    """Two small networks and the baseline, fitted by the real stages on 240 generated reviews."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(tmp_path_factory.mktemp("reviews")))
        rows = artefacts.build("ingest", write_rows, module="tasks.store.artefacts", config={"path": "reviews.csv"})
        splits = artefacts.build("split", write_splits, module="tasks.store.artefacts", config={"seed": 7})
        encoded = encode.fn(CLASSIFY, splits, EncodeSettings(min_count=1))
        shards = shard.fn(CLASSIFY, encoded, ShardSettings(max_length=20, num_widths=3))
        lineage = Lineage(rows=rows, splits=splits, encoded=encoded, shards=shards)
        scored = [score(fit.fn(CLASSIFY, shards, candidate), lineage) for candidate in CANDIDATES]
        baselines = [score(model, lineage) for model in fit_baselines.fn(CLASSIFY, lineage, BaselineSettings()).fitted]
        return lineage, Contest(candidates=tuple(scored), baselines=tuple(baselines), settings=EVALUATION)


@pytest.fixture(scope="session")
def registered_home(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, reviews: tuple[Lineage, Contest]
) -> Path:
    """A project folder in which the best of the models for generated reviews is champion; not to be written to."""
    home = tmp_path_factory.mktemp("registered")
    (home / "mlruns").mkdir()
    shutil.copyfile(empty_database, home / "mlruns" / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(home))
        run = RunContext(recipe="reviews", flow_run_id="flow-1")
        registered = register.fn(CLASSIFY, run, *reviews, REGISTRY)
        gate.fn(CLASSIFY, run, reviews[0], registered, PromotionSettings())
        end_run("flow-1", "COMPLETED")
    return home


@pytest.fixture(scope="session")
def rivals_home(
    tmp_path_factory: pytest.TempPathFactory, registered_home: Path, reviews: tuple[Lineage, Contest]
) -> Path:
    """The same project with a second version, the other network, that the gate has not seen; not to be written to."""
    home = tmp_path_factory.mktemp("rivals") / "home"
    shutil.copytree(registered_home, home)
    lineage, contest = reviews
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(home))
        others = tuple(scored for scored in contest.candidates if scored is not contest.best)
        rival = Contest(candidates=others, baselines=contest.baselines, settings=contest.settings)
        register.fn(CLASSIFY, RunContext(recipe="reviews", flow_run_id="flow-2"), lineage, rival, REGISTRY)
        end_run("flow-2", "COMPLETED")
    return home


@pytest.fixture
def rivals(project: Path, rivals_home: Path) -> dict[str, Artefact]:
    """What registered the champion (version 1) and its unjudged rival (version 2), in a project of the test's own."""
    for room in ("data", "mlruns"):
        shutil.copytree(rivals_home / room, project / room)
    found = [
        artefacts.open_artefact(f"register/{path.parent.name}")
        for path in project.glob("data/register/*/manifest.json")
    ]
    return {artefact.summary["version"]: artefact for artefact in found}


REGISTRY = RegistrySettings(certificate_rows=8)
CANDIDATES = [
    ClassifierCandidate(
        name=f"{cell}-8",
        model=Architecture(cell=cell, embedding_size=8, hidden_size=8),
        training=Training(epochs=2, batch_tokens=400, device="cpu", precision="float32"),
    )
    for cell in ("gru", "lstm")
]
EVALUATION = ClassificationSettings(resamples=100)


def score(model: Artefact, lineage: Lineage) -> Scored:
    return Scored(model=model, evaluation=evaluate.fn(CLASSIFY, model, lineage, EVALUATION))


def generated_reviews(num_rows: int) -> pl.DataFrame:
    draw = random.Random(1)
    words = {"neg": "dull boring flat bad weak", "pos": "great moving bright good strong"}
    fillers = ["the", "film", "was", "a", "story", "of", "people", "in", "some", "town"]
    labels = [("neg", "pos")[row % 2] for row in range(num_rows)]
    texts = [" ".join(draw.choices(words[label].split() + fillers, k=draw.randint(2, 30))) for label in labels]
    return pl.DataFrame({"text": texts, "label": labels}).with_row_index("row")


def write_rows(folder: Path) -> dict:
    rows = generated_reviews(240)
    rows.write_parquet(folder / "rows.parquet")
    return Summary.model_validate({"rows": rows.height})


def write_splits(folder: Path) -> dict:
    rows = generated_reviews(240)
    parts = {"train": rows[:160], "valid": rows[160:200], "test": rows[200:]}
    for name, part in parts.items():
        part.write_parquet(folder / f"{name}.parquet")
    sizes = {name: part.height for name, part in parts.items()}
    return Summary.model_validate({"rows": rows.height, "labels": ["neg", "pos"], "splits": sizes})
