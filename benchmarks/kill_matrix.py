"""Kills every part of a running place at every stage of a training run, and checks what is left.

Each case adds a row, so that every stage has work, and trains a new candidate through the deployment `train`, waits
for a moment of the run, does one deed, and then demands: nothing stays open in Prefect or MLflow after `rnnflow tidy`,
the champion is untouched until the gate has spoken, the same order run again (with `resume`) completes, and a fit that
was cut short ends with the weights of one that was not.

    python -m benchmarks.kill_matrix --folder FOLDER --output benchmarks/results/NAME.md
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.measure import describe_run, markdown_table

PREFECT_PORT, MLFLOW_PORT = 4310, 5310
RNNFLOW = Path(sys.executable).with_name("rnnflow")
RUN_LIMIT_S, SETTLE_LIMIT_S, ASK_LIMIT_S, POLL_S = 240, 180, 60, 0.05
OPEN_IN_PREFECT = ("RUNNING", "CANCELLING", "PENDING", "SCHEDULED")
MOMENTS = ("ingest", "split", "encode", "shard", "baseline", "fit", "evaluate", "register", "gate", "report")
JUDGED = ("gate", "report")
EPOCHS = 12


@dataclass(frozen=True, kw_only=True)
class Case:
    """One deed at one moment, and what came of it."""

    deed: str
    moment: str
    ended: str = ""
    settled_s: float = 0.0
    open_in_prefect: int = 0
    open_in_mlflow: int = 0
    champion_kept: bool = False
    again: str = ""
    same_weights: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether the gate has spoken, so that another champion may be right."""
        return self.ended == "COMPLETED" or self.moment in JUDGED

    @property
    def passed(self) -> bool:
        """Whether everything that must hold did."""
        clean = not self.open_in_prefect and not self.open_in_mlflow and (self.champion_kept or self.is_judged)
        return clean and self.again == "COMPLETED" and self.same_weights != "no"


class Place:
    """A project folder with its servers and workers, spoken to as a user's tools would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "RNNFLOW_HOME": str(folder),
            "RNNFLOW_PREFECT_PORT": str(PREFECT_PORT),
            "RNNFLOW_MLFLOW_PORT": str(MLFLOW_PORT),
            "OMP_NUM_THREADS": "1",
        }
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{PREFECT_PORT}/api", timeout=30, trust_env=False)

    def command(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run `rnnflow` in the project folder."""
        return subprocess.run(
            [str(RNNFLOW), *arguments],
            check=False,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )

    def ask(self, path: str, body: dict | None = None) -> dict | list:
        """Ask Prefect's server, again while it is busy, as its own client does."""
        deadline = time.monotonic() + ASK_LIMIT_S
        while True:
            try:
                answer = self.api.get(path) if body is None else self.api.post(path, json=body)
                if answer.status_code not in (429, 502, 503):
                    return answer.raise_for_status().json()
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(1)

    def start_training(self, seed: int, *, resume: bool) -> str:
        """Trigger the deployment `train` as the dashboard does; returns the flow run's id."""
        deployment = self.ask("/deployments/name/train/train")
        body = {"parameters": {"recipe": recipe_of(seed), "resume": resume}, "state": {"type": "SCHEDULED"}}
        return self.ask(f"/deployments/{deployment['id']}/create_flow_run", body)["id"]

    def state_of(self, flow_run: str) -> str:
        """The type of a flow run's state; empty while the server does not answer."""
        with contextlib.suppress(httpx.HTTPError):
            return self.api.get(f"/flow_runs/{flow_run}").raise_for_status().json()["state"]["type"]
        return ""

    def cancel(self, flow_run: str) -> None:
        """Cancel a flow run as the dashboard does."""
        body = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
        self.ask(f"/flow_runs/{flow_run}/set_state", body)

    def count_open_flow_runs(self) -> int:
        """Flow runs in Prefect that have not ended, schedules of the future aside."""
        query = {"flow_runs": {"state": {"type": {"any_": OPEN_IN_PREFECT}}}}
        return sum(not run["auto_scheduled"] for run in self.ask("/flow_runs/filter", query))

    def query_mlflow(self, sql: str) -> list[tuple]:
        """Read MLflow's database."""
        with contextlib.closing(sqlite3.connect(self.folder / "mlruns" / "mlflow.db", timeout=30)) as database:
            return database.execute(sql).fetchall()

    def champion(self) -> str:
        """The version that carries the alias `champion`."""
        rows = self.query_mlflow("select version from registered_model_aliases where alias = 'champion'")
        return str(rows[0][0]) if rows else ""

    def processes_of(self, kind: str, flow_run: str) -> list[psutil.Process]:
        """The processes of a flow run, of the worker of a pool, or of a server."""
        marks = {
            "flow": lambda one: one.environ().get("PREFECT__FLOW_RUN_ID", "") == flow_run,
            "fit": lambda one: one.environ().get("PREFECT__FLOW_RUN_ID", "") in self.running_fits(),
            "cpu worker": lambda one: "--pool cpu" in " ".join(one.cmdline()) and self._is_here(one),
            "gpu worker": lambda one: "--pool gpu" in " ".join(one.cmdline()) and self._is_here(one),
            "prefect server": lambda one: "prefect" in " ".join(one.cmdline()) and self._listens(one, PREFECT_PORT),
            "mlflow server": lambda one: "mlflow" in " ".join(one.cmdline()) and self._is_here(one),
        }
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid != os.getpid() and marks[kind](process):
                    found.append(process)
        return found

    def running_fits(self) -> set[str]:
        """Flow runs of the deployment `fit` that are running."""
        query = {"flows": {"name": {"any_": ["fit"]}}, "flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
        return {run["id"] for run in self.ask("/flow_runs/filter", query)}

    def _listens(self, process: psutil.Process, port: int) -> bool:
        return any(one.laddr.port == port for one in process.net_connections("tcp") if one.status == "LISTEN")

    def _is_here(self, process: psutil.Process) -> bool:
        return process.environ().get("RNNFLOW_HOME") == str(self.folder)


def send(kind: str, number: signal.Signals) -> Callable[[Place, str], None]:
    """A deed that sends a signal to each process of a kind."""

    def deed(place: Place, flow_run: str) -> None:
        processes = place.processes_of(kind, flow_run)
        if not processes:
            raise RuntimeError(f"no process of the {kind} was found")
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    return deed


def cancel_without_worker(place: Place, flow_run: str) -> None:
    """Cancel a flow run whose worker was killed, so that nobody but the run itself can end it."""
    send("cpu worker", signal.SIGKILL)(place, flow_run)
    place.cancel(flow_run)


def train_twice(place: Place, flow_run: str) -> None:
    """Order the same training once more while the first goes on, as a tick and a click do."""
    parameters = place.ask(f"/flow_runs/{flow_run}")["parameters"]
    second = place.start_training(parameters["recipe"]["candidates"][0]["training"]["seed"], resume=False)
    wait_for(lambda: place.state_of(second) in ENDED, RUN_LIMIT_S, "the second run")
    wait_for(lambda: place.state_of(flow_run) in ENDED, RUN_LIMIT_S, "the first run")
    twice = place.query_mlflow(
        "select name, count(*) from (select m.name, t.value from model_versions m join model_version_tags t on "
        "t.name = m.name and t.version = m.version where t.key = 'rnnflow.content') group by name, value "
        "having count(*) > 1"
    )
    if twice:
        raise RuntimeError(f"one model was registered twice: {twice}")


ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
ONLY_INSIDE_FIT = ("kill -9 of the fit", "kill -9 of the GPU worker")
DEEDS: dict[str, Callable[[Place, str], None]] = {
    "cancel from the dashboard": Place.cancel,
    "kill -9 of the worker, then cancel": cancel_without_worker,
    "the same training once more": train_twice,
    "SIGTERM to the flow": send("flow", signal.SIGTERM),
    "kill -9 of the flow": send("flow", signal.SIGKILL),
    "kill -9 of the fit": send("fit", signal.SIGKILL),
    "SIGTERM to the worker": send("cpu worker", signal.SIGTERM),
    "kill -9 of the worker": send("cpu worker", signal.SIGKILL),
    "kill -9 of the GPU worker": send("gpu worker", signal.SIGKILL),
    "kill -9 of Prefect's server": send("prefect server", signal.SIGKILL),
    "kill -9 of MLflow's server": send("mlflow server", signal.SIGKILL),
}


def recipe_of(seed: int) -> dict:
    """A recipe whose stages are short and whose fit takes some seconds."""
    model = {"cell": "gru", "embedding_size": 16, "hidden_size": 16}
    return {
        "name": "small",
        "source": {"dataset": "files", "path": "rows.csv"},
        "candidates": [
            {
                "name": "gru",
                "model": model,
                "training": {"epochs": EPOCHS, "device": "cpu", "seed": seed, "patience": EPOCHS},
            }
        ],
        "registry": {"certificate_rows": 8},
        "evaluate": {"resamples": 100},
    }


def write_rows(path: Path, num_rows: int = 4000) -> None:
    """Write texts whose words tell their label."""
    draw = random.Random(1)
    words = {label: [f"{label}{i}" for i in range(80)] + [f"word{i}" for i in range(400)] for label in ("neg", "pos")}
    lines = [f"{' '.join(draw.choices(words[label], k=40))},{label}" for _ in range(num_rows // 2) for label in words]
    path.write_text("\n".join(["text,label", *lines, ""]), encoding="utf-8")


def wait_for(condition: Callable[[], bool], limit_s: float, what: str) -> float:
    """Wait until a condition holds; returns the seconds it took."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > limit_s:
            raise TimeoutError(f"waited {limit_s:.0f} s for {what}")
        time.sleep(POLL_S)
    return time.monotonic() - started


def artefacts_of(place: Place, stage: str) -> set[Path]:
    """Committed artefacts of a stage."""
    return {path.parent for path in (place.folder / "data" / stage).glob("*/manifest.json")}


def reached(place: Place, moment: str, before: dict[str, set[Path]]) -> bool:
    """Tell whether a run has come to a moment: inside the fit, or just after another stage's commit."""
    if moment == "fit":
        return any((place.folder / "data" / "fit").glob("*.partial/checkpoints/epoch-0000[2-9]*"))
    return artefacts_of(place, moment) > before[moment]


def run_case(place: Place, case: Case, seed: int) -> Case:
    """Do the deed at the moment, see what is left, and run the same order again."""
    with (place.folder / "rows.csv").open("a", encoding="utf-8") as rows:
        rows.write(f"case{seed} {' '.join(f'pos{number}{seed}' for number in range(20))},pos\n")
    before = {moment: artefacts_of(place, moment) for moment in MOMENTS}
    champion = place.champion()
    flow_run = place.start_training(seed, resume=False)
    wait_for(lambda: reached(place, case.moment, before), RUN_LIMIT_S, f"stage {case.moment}")
    DEEDS[case.deed](place, flow_run)
    settled_s = wait_until_settled(place)
    ended = place.state_of(flow_run)
    left = {"open_in_prefect": place.count_open_flow_runs(), "open_in_mlflow": count_open_runs(place)}
    kept = place.champion() == champion
    again = run_again(place, seed)
    case = dataclasses.replace(case, ended=ended, settled_s=settled_s, champion_kept=kept, again=again, **left)
    if case.moment == "fit":
        case = dataclasses.replace(case, same_weights=compare_weights(place, seed, before))
    return case


def wait_until_settled(place: Place) -> float:
    """Tidy up now and then, as the schedule does, until the flow run has ended and nothing of it is open."""
    started = time.monotonic()
    while time.monotonic() - started < SETTLE_LIMIT_S:
        place.command("tidy")
        with contextlib.suppress(httpx.HTTPError):
            if not place.count_open_flow_runs() and not count_open_runs(place):
                return time.monotonic() - started
        time.sleep(1)
    return time.monotonic() - started


def count_open_runs(place: Place) -> int:
    """Runs that MLflow believes to be running."""
    return place.query_mlflow("select count(*) from runs where status = 'RUNNING'")[0][0]


def run_again(place: Place, seed: int) -> str:
    """Run the same order with `resume` to its end; returns how it ended."""
    flow_run = place.start_training(seed, resume=True)
    wait_for(lambda: place.state_of(flow_run) in ENDED, RUN_LIMIT_S, "the end")
    return place.state_of(flow_run)


def compare_weights(place: Place, seed: int, before: dict[str, set[Path]]) -> str:
    """Fit once more from the start, and say whether the weights are the same bit by bit."""
    (folder,) = artefacts_of(place, "fit") - before["fit"]
    interrupted = json.loads((folder / "manifest.json").read_bytes())["files"]["model.safetensors"]["sha256"]
    shutil.rmtree(folder)
    run_again(place, seed)
    whole = json.loads((folder / "manifest.json").read_bytes())["files"]["model.safetensors"]["sha256"]
    return "yes" if whole == interrupted else "no"


@contextlib.contextmanager
def standing_place(folder: Path) -> Iterator[Place]:
    """A place that is up, with a first champion."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "rows.csv").exists():  # a matrix that goes on needs rows that it has not seen
        write_rows(folder / "rows.csv")
    place = Place(folder)
    started = place.command("up")
    if started.returncode:
        raise RuntimeError(started.stderr)
    try:
        if not place.champion():
            run_again(place, seed=1)
        yield place
    finally:
        place.command("down")


def describe(cases: list[Case]) -> str:
    """The matrix as a table in Markdown."""
    header = (
        "deed",
        "moment",
        "ended",
        "clean after",
        "open: Prefect, MLflow",
        "champion kept",
        "again",
        "same weights",
    )
    rows = [
        (
            case.deed,
            "inside fit" if case.moment == "fit" else f"after {case.moment}",
            case.ended.lower(),
            f"{case.settled_s:.0f} s",
            f"{case.open_in_prefect}, {case.open_in_mlflow}",
            "judged" if case.is_judged else "yes" if case.champion_kept else "NO",
            case.again.lower(),
            case.same_weights,
        )
        for case in cases
    ]
    passed = f"{sum(case.passed for case in cases)} of {len(cases)} cases passed."
    return "\n\n".join(
        ["# Kill matrix", describe_run(("prefect", "mlflow", "torch")), passed, markdown_table(header, rows)]
    )


def main() -> None:
    """Run the chosen cases and write the table after each, so that an interrupted matrix is worth something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="project folder to work in")
    parser.add_argument("--deeds", nargs="*", choices=DEEDS, default=list(DEEDS))
    parser.add_argument("--moments", nargs="*", choices=MOMENTS, default=list(MOMENTS))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    done: list[Case] = []
    chosen = itertools.product(options.deeds, options.moments)
    cases = [(deed, moment) for deed, moment in chosen if moment == "fit" or deed not in ONLY_INSIDE_FIT]
    with standing_place(options.folder.resolve()) as place:
        # A row that is there already would change nothing, so a matrix that goes on counts on from the rows.
        first = len((place.folder / "rows.csv").read_text(encoding="utf-8").splitlines())
        for seed, (deed, moment) in enumerate(cases, start=first):
            done.append(run_case(place, Case(deed=deed, moment=moment), seed))
            print(done[-1], "passed" if done[-1].passed else "FAILED", flush=True)
            if options.output:
                options.output.write_text(describe(done), encoding="utf-8")


if __name__ == "__main__":
    main()
