"""The mutation matrix: what a change recomputes, and what it leaves alone.

A copy of the code and a small data set are changed, one thing at a time, and the stages run again in a new process.
"""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import Forker, Fresh

pytestmark = pytest.mark.costly

ROOT = Path(__file__).parents[1]
STAGES = ("ingest", "split", "encode", "shard", "baseline", "fit", "evaluate")
PIPELINE = """
import json, sys
from rnnmodels.config import Architecture, Training
from tasks.kinds.classify.baseline import BaselineSettings
from tasks.baseline import fit_baselines
from tasks.kinds.classify.encode import EncodeSettings
from tasks.encode import encode
from tasks.labelled.evaluate import ClassificationSettings
from tasks.evaluate import evaluate
from tasks.labelled.fit import ClassifierCandidate
from tasks.fit import fit
from tasks.ingest import ingest
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.contract.lineage import Lineage
from tasks.kinds.classify.recipe import ShardSettings
from tasks.shard import shard
from tasks.kinds.classify.source import SourceSettings
from tasks.kinds.classify.split import SplitSettings
from tasks.split import split

changed = json.loads(sys.argv[1])
training = Training(epochs=1, seed=1)
candidate = ClassifierCandidate(name="tiny", training=training, model=Architecture(
    cell="gru", embedding_size=4, hidden_size=changed.get("hidden_size", 4)))
rows = ingest.fn(CLASSIFY, SourceSettings(dataset="files", path="rows.csv"))
splits = split.fn(CLASSIFY, rows, SplitSettings(seed=changed.get("split_seed", 1)))
encoded = encode.fn(CLASSIFY, splits, EncodeSettings(max_size=changed.get("max_size", 1000)))
shards = shard.fn(CLASSIFY, encoded, ShardSettings(num_widths=4))
lineage = Lineage(rows=rows, splits=splits, encoded=encoded, shards=shards)
(baseline,) = fit_baselines.fn(CLASSIFY, lineage, BaselineSettings(naive_bayes=False)).fitted
model = fit.fn(CLASSIFY, shards, candidate)
evaluation = evaluate.fn(CLASSIFY, model, lineage, ClassificationSettings(resamples=100))
print(json.dumps({a.stage: a.cached for a in (rows, splits, encoded, shards, baseline, model, evaluation)}))
print(json.dumps("torch" in sys.modules))
"""


class Project:
    """A copy of the code with a data set, in a folder that can be changed."""

    def __init__(self, folder: Path, forker: Fresh) -> None:
        self.folder, self.forker = folder, forker
        for room in ("tasks", "rnnmodels"):
            # Compiled modules are valid until they are edited; one that another process is writing may be gone at once.
            shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("*.pyc.*"))
        rng = random.Random(0)
        words = {
            label: [f"{label}{i}" for i in range(60)] + [f"word{i}" for i in range(60)] for label in ("neg", "pos")
        }
        lines = [f"{' '.join(rng.choices(words[label], k=12))},{label}" for label in ("neg", "pos") for _ in range(100)]
        (folder / "rows.csv").write_text("\n".join(["text,label", *lines, ""]))

    def run(self, **changed: object) -> tuple[set[str], bool]:
        """Run the stages; returns those that were computed, and whether torch was loaded."""
        done = self.forker.run(PIPELINE, json.dumps(changed), cwd=self.folder, RNNFLOW_HOME=str(self.folder))
        assert done.returncode == 0, done.stderr
        cached, torch_loaded = (json.loads(line) for line in done.stdout.splitlines()[-2:])
        return {stage for stage, reused in cached.items() if not reused}, torch_loaded

    def append(self, file: str, text: str) -> None:
        with (self.folder / file).open("a") as opened:
            opened.write(text)

    def replace(self, file: str, old: str, new: str) -> None:
        source = (self.folder / file).read_text()
        assert old in source
        (self.folder / file).write_text(source.replace(old, new, 1))


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory, fresh_process: Fresh) -> Project:
    project = Project(tmp_path_factory.mktemp("computed"), fresh_process)
    assert project.run() == (set(STAGES), True)
    return project


@pytest.fixture
def project(computed: Project, tmp_path: Path) -> Project:
    """A copy of the computed project, artefacts included."""
    copy = object.__new__(Project)
    copy.folder, copy.forker = tmp_path / "copy", computed.forker
    shutil.copytree(computed.folder, copy.folder)
    return copy


@pytest.fixture
def hasty(project: Project, heavy_process: Forker) -> Project:
    """The same, run where torch is there from the start: for tests that do not ask whether it was loaded."""
    project.forker = heavy_process
    return project


def flip_one_byte(project: Project) -> None:
    project.replace("rows.csv", "word1", "word7")


def refactor_helper(module: str) -> Callable[[Project], None]:
    return lambda project: project.append(module, "\n\ndef unused() -> int:\n    return 1\n")


CODE_CHANGES = {
    "one byte of the input": (flip_one_byte, set(STAGES)),
    # Recomputed where it is reached; the same bytes come out, so nothing spreads further.
    "the tokenizer": (refactor_helper("tasks/text/tokenizers.py"), {"split", "encode", "evaluate"}),
    "a helper of shard": (refactor_helper("tasks/labelled/buckets.py"), {"shard"}),
    "a module of the network": (refactor_helper("rnnmodels/layers/pooling.py"), {"fit"}),
    "the metrics": (refactor_helper("tasks/labelled/metrics.py"), {"baseline", "evaluate"}),
    "a comment and a docstring": (lambda p: p.append("tasks/text/tokenizers.py", "\n# More about tokens.\n"), set()),
    "a module no stage here reaches": (refactor_helper("tasks/tracking/dashboard.py"), set()),
}


@pytest.mark.parametrize("name", CODE_CHANGES)
def test_a_change_recomputes_exactly_what_it_must(hasty: Project, name: str):
    change, expected = CODE_CHANGES[name]
    change(hasty)

    computed, _ = hasty.run()

    assert computed == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"split_seed": 2}, set(STAGES) - {"ingest"}),
        ({"max_size": 50}, {"encode", "shard", "fit", "evaluate"}),
        ({"hidden_size": 5}, {"fit", "evaluate"}),
    ],
)
def test_a_setting_recomputes_its_stage_and_what_follows(hasty: Project, changed: dict, expected: set[str]):
    assert hasty.run(**changed)[0] == expected


def test_a_second_run_reuses_everything_and_never_loads_torch(project: Project):
    assert project.run() == (set(), False)


def test_a_moved_project_reuses_its_artefacts(project: Project, tmp_path: Path):
    project.folder = project.folder.rename(tmp_path / "moved")

    assert project.run() == (set(), False)
