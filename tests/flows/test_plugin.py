"""A kind that a package of its own brings, as small as one can be: it works like ours, and this is what it costs.

The package lies in `tests/plugins/bits`; it is installed into a folder that only the processes started here look into.
"""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tasks.kinds import BUILT_IN
from tests.processes import Forker, Fresh

pytestmark = pytest.mark.costly

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tests" / "plugins" / "bits"
RECIPE = """# Whether a line has more ones or more zeros.
name = "majority"
kind = "bits"

[source]
path = "lines.csv"

[training]
epochs = 4
learning_rate = 0.01
device = "cpu"
batch_tokens = 400

[evaluate]
resamples = 100

[registry]
certificate_rows = 8
"""
STAGES = [
    *("ingest", "split", "encode", "shard", "fit gru", "baseline ones-logistic", "evaluate gru"),
    *("evaluate ones-logistic", "register", "gate", "report", "publish"),
]
MOST_MODULES, MOST_LINES = 12, 430
COMMAND = "from flows.commands.cli import main; main()"
# What a line of `questions` in a process that has the package answers.
QUESTIONS = {
    "predict": """
from prefect.settings import PREFECT_API_URL, temporary_settings
from flows.predict import predict
with temporary_settings({PREFECT_API_URL: sys.argv[2]}):
    print(json.dumps(predict("majority", "more.csv", "flow.csv").rows))
""",
    "serve": """
from starlette.testclient import TestClient
from tasks.serving.application import create_application
from tasks.serving.champion import start_following
from tasks.serving.settings import settings_for
follower = start_following("majority")
with TestClient(create_application(follower, settings_for(follower.current.kind, {"max_lines": 3}))) as client:
    ask = lambda lines: client.post("/v1/predict", json={"lines": lines}).json()
    print(json.dumps([ask(["0001", "11101"]), ask(["0a"]), ask(["0"] * 4), client.get("/v1/model").json()]))
""",
    "recompute": """
from pathlib import Path
from flows.recipes.recipe import load_recipe
from flows.retrain import describe_nothing_new
from tasks.encode import encode
from tasks.ingest import ingest
from tasks.kinds import BUILT_IN, find_kind
from tasks.split import split
from tasks.store import fingerprint
recipe = load_recipe("majority.toml")
kind = find_kind(recipe.kind)
rows = ingest.fn(kind, recipe.source)
splits = split.fn(kind, rows, recipe.split)
encoded = encode.fn(kind, splits, recipe.encode)
news = not describe_nothing_new(recipe)
ours = [fingerprint.describe_code(find_kind(name).encode.name) for name in BUILT_IN]
print(json.dumps([[one.stage for one in (rows, splits, encoded) if not one.cached], news, ours]))
""",
    "form": """
from pydantic import TypeAdapter
from flows.recipes.kinds import AnyRecipe
from flows.recipes.recipe import load_recipe
forms = TypeAdapter(AnyRecipe)
recipes = [load_recipe(name) for name in ("reviews", "majority.toml")]
same = [forms.validate_python(recipe.model_dump(mode="json")) == recipe for recipe in recipes]
print(json.dumps([same, [part["title"] for part in forms.json_schema()["anyOf"]]]))
""",
    "doctor": """
from flows.commands.doctor import describe_finding, examine_kinds
print(json.dumps([describe_finding(one) for one in examine_kinds()]))
""",
    "version": """
from tasks.registry import registrations
print(json.dumps(registrations.find_version("majority", version="1").tags))
""",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installed the package."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(PLUGIN, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder / "site"), str(source)]
    subprocess.run(command, check=True)
    return folder / "site"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with labelled lines and a recipe for them."""
    folder, rng = tmp_path_factory.mktemp("project"), random.Random(0)
    lines = {"".join(rng.choices("01", k=rng.randint(3, 20))): None for _ in range(400)}
    rows = [f"{line},{'ones' if line.count('1') > line.count('0') else 'zeros'}" for line in lines]
    (folder / "lines.csv").write_text("\n".join(["bits,label", *rows, ""]))
    (folder / "more.csv").write_text("bits\n0010\n11101\n")
    (folder / "majority.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def run(site: Path, home: Path, server: str, fresh_process: Fresh) -> Callable[..., subprocess.CompletedProcess]:
    """A function that gives a command where the package is installed, as a shell does."""

    def run_command(*arguments: str) -> subprocess.CompletedProcess:
        environment = {"PYTHONPATH": f"{site}:{ROOT}", "RNNFLOW_HOME": str(home), "PREFECT_API_URL": server}
        return fresh_process.run(COMMAND, *arguments, cwd=home, **environment)

    return run_command


@pytest.fixture(scope="module")
def fork(site: Path, home: Path, heavy_process: Forker) -> Callable[..., subprocess.CompletedProcess]:
    """A function that runs code where the package is installed, and all that is heavy is imported."""

    def run_code(code: str, *arguments: str) -> subprocess.CompletedProcess:
        found = f"import json, sys; sys.path[:0] = [{str(site)!r}, {str(ROOT)!r}]"
        return heavy_process.run(f"{found}\n{code}", *arguments, cwd=home, RNNFLOW_HOME=str(home))

    return run_code


@pytest.fixture(scope="module")
def ask(fork: Callable[..., subprocess.CompletedProcess], server: str) -> Callable[[str], object]:
    """A function that answers one of `QUESTIONS` there."""

    def answer(question: str) -> object:
        done = fork(QUESTIONS[question], question, server)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return answer


@pytest.fixture(scope="module")
def trained(run) -> dict:
    """What `rnnflow train` says of the kind's first model."""
    done = run("train", "majority.toml", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_kind_trains_registers_and_reports(trained: dict, ask):
    assert [stage["name"] for stage in trained["stages"]] == STAGES
    assert trained["registered"] == {"name": "majority", "version": "1", "alias": "champion"}
    page = Path(trained["report"]).read_text()
    assert "lines of 0s and 1s were read" in page
    assert "Calibration of gru" in page
    tags = ask("version")
    assert (tags["rnnflow.kind"], tags["rnnflow.kind_package"]) == ("bits", "rnnflow-bits 0.1.0")


def test_files_are_predicted_by_the_command(trained: dict, run, home: Path):
    (home / "mixed.csv").write_text("bits\n0001\n11101\n0x1\n")

    done = run("predict", "majority", "mixed.csv", "answers.csv")

    assert done.returncode == 2, done.stderr
    assert "answers.csv: 2 lines labelled by majority/1" in done.stdout
    assert 'E-BITS-001 row 4 column "bits": got "0x1", expected 1 to 1,000 digits 0 and 1.' in done.stderr
    answers = pl.read_csv(home / "answers.csv")
    assert answers.columns == ["row", "label", "probability_ones", "probability_zeros", "model"]
    assert answers["row"].to_list() == [2, 3]


def test_settings_of_its_source_are_changed_for_a_file(trained: dict, fork, home: Path):
    (home / "other.csv").write_text("digits;x\n0001;1\n")
    settings = ("--set", "source.delimiter=;", "--set", "source.bits_column=digits")

    assert fork(COMMAND, "predict", "majority", "other.csv", "others.csv", *settings).returncode == 0
    refused = fork(COMMAND, "predict", "majority", "other.csv", "none.csv", "--set", "source.labels.a=b")

    assert refused.stderr == (
        "E-OUT-005 --set source.labels.a: has no effect on a prediction.\n"
        "Fix: leave it out: rows are answered without their labels.\n"
    )


def test_what_it_sees_is_watched(trained: dict, fork, home: Path):
    (home / "seen.csv").write_text("\n".join(["bits", *["0110"] * 30, ""]))
    assert fork(COMMAND, "predict", "majority", "seen.csv", "watched.csv").returncode == 0

    report = json.loads(fork(COMMAND, "monitor", "majority", "--min-rows", "20", "--json").stdout)

    assert report["rows"] >= 30
    assert {one["feature"] for one in report["comparisons"]} == {"length", "confidence", "predicted"}


def test_files_are_predicted_by_the_flow(trained: dict, ask):
    assert ask("predict") == 2


def test_requests_are_answered(trained: dict, ask):
    answer, refused, too_many, model = ask("serve")

    assert (answer["model"], model["model"], model["labels"]) == ("majority/1", "majority/1", ["ones", "zeros"])
    assert [sum(one["probabilities"].values()) for one in answer["predictions"]] == pytest.approx([1, 1])
    assert {one["label"] for one in answer["predictions"]} <= {"zeros", "ones"}
    assert (refused["error"]["field"], refused["error"]["problem"]) == ("lines[0]", "is no line of 0s and 1s.")
    assert too_many["error"]["problem"] == "got more than max_lines = 3 lines."
    assert model["limits"] == {"max_body_bytes": 4 * 2**20, "max_lines": 3, "max_requests": 64}


def test_the_model_loads_where_neither_the_package_nor_the_project_is(trained: dict, home: Path, tmp_path: Path):
    [model] = home.glob("mlruns/**/MLmodel")
    folder = shutil.copytree(model.parent, tmp_path / "model")
    code = (
        f"import sys; sys.path = [path for path in sys.path if path != {str(ROOT)!r}]\n"
        "sys.meta_path = [finder for finder in sys.meta_path if 'editable' not in repr(finder)]\n"
        "import json, mlflow; model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "import rnnflow_bits.labeller as module; "
        "print(json.dumps([[one.probabilities for one in model.predict(['0001', '11101'])], module.__file__]))"
    )
    command = [sys.executable, "-I", "-c", code, str(folder)]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    answers, module = json.loads(done.stdout.splitlines()[-1])
    assert module == str(folder / "code" / "rnnflow_bits" / "labeller.py")
    assert [set(answer) for answer in answers] == [{"zeros", "ones"}] * 2
    assert "rnnflow" not in (folder / "requirements.txt").read_text()


def test_an_edit_of_its_encoder_recomputes_and_is_news(trained: dict, ask, site: Path):
    *untouched, ours = ask("recompute")
    encoder = site / "rnnflow_bits" / "encode.py"
    source = encoder.read_text()
    encoder.write_text(source.replace("pl.element().cast(pl.UInt8) + 1", "2 - pl.element().cast(pl.UInt8)"))
    try:
        *edited, ours_then = ask("recompute")
    finally:
        encoder.write_text(source)

    assert untouched == [[], False]
    assert edited == [["encode"], True]
    assert ours_then == ours


def test_forms_and_the_examination_of_a_machine_know_it(home: Path, ask):
    same, forms = ask("form")

    assert same == [True, True]
    assert len(forms) == len(BUILT_IN) + 1
    assert forms[-1] == "Bits"
    assert ask("doctor") == ["ok    kind bits: rnnflow-bits 0.1.0"]


def test_a_kind_costs_little():
    folders = {"bits (a package)": PLUGIN / "rnnflow_bits"}
    folders |= {name: ROOT / "tasks" / "kinds" / name.replace("-", "_") for name in BUILT_IN}
    costs = {name: count_lines(folder) for name, folder in folders.items()}

    print(f"\n{'kind':18} modules  lines  not blank")  # noqa: T201 (what -s shows)
    for name, (modules, lines, code) in costs.items():
        print(f"{name:18} {modules:7} {lines:6} {code:10}")  # noqa: T201

    modules, lines, _ = costs["bits (a package)"]
    assert modules <= MOST_MODULES
    assert lines <= MOST_LINES


def count_lines(folder: Path) -> tuple[int, int, int]:
    """Modules with anything in them, their lines and those of templates, and how many of all are not blank."""
    texts = {path: path.read_text() for path in folder.iterdir() if path.suffix in (".py", ".j2")}
    modules = [path for path, text in texts.items() if path.suffix == ".py" and text]
    lines = [line for text in texts.values() for line in text.splitlines()]
    return len(modules), len(lines), len([line for line in lines if line.strip()])
