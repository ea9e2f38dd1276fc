"""The shape of the house, read from its syntax trees."""

import ast
import subprocess
import sys
from collections.abc import Collection
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tasks.store.fingerprint import reached_modules

ROOT = Path(__file__).parents[1]
ROOMS = ("flows", "tasks", "rnnmodels")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

MAY_IMPORT = {"flows": {"flows", "tasks", "rnnmodels"}, "tasks": {"tasks", "rnnmodels"}, "rnnmodels": {"rnnmodels"}}
FOREIGN_TO = {
    "flows": {"mlflow", "torch", "sklearn"},
    "tasks": set(),
    "rnnmodels": {"prefect", "mlflow", "polars", "pandas", "sklearn", "rich", "click"},
}
ONLY_THERE = {"mlflow": {"mlflow_client.py", "served_model.py"}}
# Parts of kinds are loaded by name there, and keys count each by its name; so is the class that a model is served by.
BY_NAME = {"tasks/contract/kind.py", "tasks/registry/served_parts.py"}
# The rooms of `tasks/`, from the ground up: a room imports those before it. Kinds use the machinery of the services
# beside them; the services find a kind in the list, and know it by its contract.
ROOM_ORDER = (
    {"tasks.errors", "tasks.progress"},
    {"tasks.store", "tasks.statistics"},
    {"tasks.tracking"},
    {"tasks.registry", "tasks.sources"},
    {"tasks.discovery"},
    {"tasks.promotion"},
    {"tasks.contract"},
    {"tasks.reporting", "tasks.panel"},
    {"tasks.labelled"},
    {"tasks.monitoring"},
    {"tasks.prediction"},
    {"tasks.text"},
    {"a kind", "tasks.kinds"},
    {"tasks.serving", "a stage"},
)
RANK = {room: number for number, rooms in enumerate(ROOM_ORDER) for room in rooms}
THE_LIST = "tasks.kinds"
READERS_OF_THE_LIST = {"tasks.prediction", "tasks.monitoring", "tasks.serving"}
# Anomalies are what a forecaster did not expect.
KINDS_THAT_USE = {"tasks.kinds.detect": {"tasks.kinds.forecast"}}
STAGES = {
    *("ingest", "split", "encode", "shard", "warm_start", "corpus", "pretrain", "pretrained", "fit", "baseline"),
    *("stack", "evaluate", "register", "gate", "report", "publish"),
}
ROOMS_WITH_PREFECT = {"a stage", "tasks.tracking"}
HEAVY = {"torch", "mlflow", "sklearn", "matplotlib", "tokenizers", "pandas"}
BANNED_NAMES = {"utils", "helpers", "common", "manager", "misc"}
BANNED_CALLS = {"extractall", "unpack_archive", "eval", "exec", "pickle.load", "pickle.loads", "yaml.load"}


def imports_of(tree: ast.AST, *, top_level: bool = False) -> set[str]:
    nodes = ast.iter_child_nodes(tree) if top_level else ast.walk(tree)
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def packages_of(tree: ast.AST, *, top_level: bool = False) -> set[str]:
    return {name.partition(".")[0] for name in imports_of(tree, top_level=top_level)}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


class WithoutTypeChecking(ast.NodeTransformer):
    """Drops what is only imported for the eyes of a type checker."""

    def visit_If(self, node: ast.If) -> ast.If | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else node


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def place_of(name: str) -> str:
    """The room of a module of `tasks/`: its folder, a kind, a stage, the list of kinds, or what lies at the top."""
    parts = name.split(".")
    if name == THE_LIST or (len(parts) == 2 and parts[1] not in STAGES):
        return name
    if len(parts) == 2:
        return "a stage"
    return "a kind" if parts[1] == "kinds" else ".".join(parts[:2])


# What is loaded by more than code that trains or serves.
LIGHT = [path for path in MODULES if room_of(path) != "rnnmodels" and path.name != "served_model.py"]
IN_TASKS = {module_name(path) for path in MODULES if room_of(path) == "tasks" and path.read_bytes()}


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """What each module imports of this project, for a type checker's eyes included."""
    names = {module_name(path) for path in MODULES}
    return {module_name(path): project_imports(path, names) for path in MODULES}


def project_imports(path: Path, names: set[str]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= whole & names if whole <= names else {node.module, *(whole & names)}
    return found & names - {module_name(path)}


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """All modules; each rule looks at all of them in one test, as one test per rule and module costs more than both."""
    return {path: WithoutTypeChecking().visit(ast.parse(path.read_bytes())) for path in MODULES}


@pytest.fixture(scope="module")
def packages(trees: dict[Path, ast.Module]) -> dict[Path, set[str]]:
    """What each module imports at any depth, by its first name."""
    return {path: packages_of(tree) for path, tree in trees.items()}


@pytest.fixture(scope="module")
def calls(trees: dict[Path, ast.Module]) -> dict[Path, set[str]]:
    """The names of what each module calls."""
    return {
        path: {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for path, tree in trees.items()
    }


def only_faults(faults: dict[Path, Collection]) -> dict[str, Collection]:
    """The faults of the modules that have any."""
    return {name_of(path): found for path, found in faults.items() if found}


def test_there_are_modules_to_look_at():
    assert {room_of(path) for path in MODULES} == set(ROOMS)
    assert len(MODULES) > 100


def test_imports_run_from_flows_to_tasks_to_models(packages: dict[Path, set[str]]):
    upwards = {path: found & set(ROOMS) - MAY_IMPORT[room_of(path)] for path, found in packages.items()}
    foreign = {path: found & FOREIGN_TO[room_of(path)] for path, found in packages.items()}

    assert only_faults(upwards) == {}
    assert only_faults(foreign) == {}


def test_mlflow_has_two_doors(packages: dict[Path, set[str]]):
    assert {path.name for path, found in packages.items() if "mlflow" in found} <= ONLY_THERE["mlflow"]


def test_heavy_libraries_are_imported_where_they_are_used(trees: dict[Path, ast.Module]):
    heavy = {path: packages_of(trees[path], top_level=True) & HEAVY for path in LIGHT}

    assert only_faults(heavy) == {}


def test_what_is_imported_by_name_is_known_to_the_keys_of_stages(
    trees: dict[Path, ast.Module], calls: dict[Path, set[str]]
):
    relative = {
        path: [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
        for path, tree in trees.items()
    }
    by_name = {
        path: found & {"importlib.import_module", "import_module", "__import__"}
        for path, found in calls.items()
        if room_of(path) != "flows" and name_of(path) not in BY_NAME
    }

    assert only_faults(relative) == {}, "fingerprints follow absolute imports only"
    assert only_faults(by_name) == {}


def test_no_module_is_a_drawer_for_odds_and_ends():
    assert only_faults({path: set(path.stem.split("_")) & BANNED_NAMES for path in MODULES}) == {}


def test_no_call_runs_or_unpacks_what_it_was_given(trees: dict[Path, ast.Module], calls: dict[Path, set[str]]):
    banned = {path: {call for call in found if is_banned(call)} for path, found in calls.items()}
    keywords = {
        path: {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.keyword)}
        & {"shell=True", "weights_only=False"}
        for path, tree in trees.items()
    }

    assert only_faults(banned) == {}
    assert only_faults(keywords) == {}


def is_banned(call: str) -> bool:
    return call in BANNED_CALLS or call.rpartition(".")[2] in BANNED_CALLS - {"eval"}


def test_modules_stay_small():
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}

    assert {name: length for name, length in lengths.items() if length > 260} == {}


def test_rooms_import_what_lies_below_them(imports: dict[str, set[str]]):
    arrows = [(name, other) for name, others in imports.items() for other in others if {name, other} <= IN_TASKS]

    assert [arrow for arrow in arrows if not may_import(*arrow)] == []


def may_import(name: str, other: str) -> bool:
    here, there = place_of(name), place_of(other)
    if here == there == "a kind":
        kind, other_kind = name.rpartition(".")[0], other.rpartition(".")[0]
        return kind == other_kind or other_kind in KINDS_THAT_USE.get(kind, ())
    if other == THE_LIST:
        return here in READERS_OF_THE_LIST
    return there != "a kind" and (here == there or RANK[there] < RANK[here])


def test_no_import_runs_in_a_circle(imports: dict[str, set[str]]):
    TopologicalSorter(imports).prepare()


def test_only_flows_stages_and_tracking_know_prefect(packages: dict[Path, set[str]]):
    in_tasks = {path for path, found in packages.items() if "prefect" in found and room_of(path) == "tasks"}

    assert {place_of(module_name(path)) for path in in_tasks} <= ROOMS_WITH_PREFECT


def test_the_top_of_tasks_holds_stages_alone():
    found = {path.stem for path in (ROOT / "tasks").glob("*.py")}

    assert found == {*STAGES, "__init__", "errors", "progress"}


def test_every_stage_ends_with_its_one_task():
    for stage in STAGES:
        tree = ast.parse((ROOT / "tasks" / f"{stage}.py").read_bytes())
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        tasks = [node for node in functions if any("task" in ast.unparse(d) for d in node.decorator_list)]
        assert tasks == functions[-1:], stage
        assert len(tasks[0].body) <= 15, stage


def test_importing_the_command_line_loads_nothing_heavy():
    code = (
        "import flows.commands.cli, sys;"
        "print(sorted({'torch', 'mlflow', 'prefect', 'polars', 'pydantic'} & set(sys.modules)))"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert shown.stdout.strip() == "[]"


def test_forecasters_reach_nothing_of_texts():
    reached = reached_modules("tasks.kinds.forecast.fit", "tasks.kinds.detect.fit", "tasks.kinds.forecast.forecaster")

    assert (
        not {
            "rnnmodels.classifiers.batches",
            "rnnmodels.classifiers.classifier",
            "rnnmodels.classifiers.inference",
            "rnnmodels.layers.pooling",
        }
        & reached.keys()
    )
