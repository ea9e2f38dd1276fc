"""The whole flow, once on small data, under Prefect's own test server."""

import asyncio
import dataclasses
import json
import random
import shutil
from pathlib import Path

import polars as pl
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from flows.backtest import backtest
from flows.outcome import Outcome
from flows.recipes.recipe import build_recipe
from flows.retrain import retrain
from flows.train import finish_deferred, train
from flows.trigger import current_trigger, modules_of
from tasks.contract.recipe import Recipe
from tasks.errors import ServiceError
from tasks.fit import write_fitted
from tasks.gate import write_verdict
from tasks.kinds import find_kind
from tasks.prediction.dispatch import predict_file
from tasks.promotion import ledger
from tasks.promotion.named_models import resolve_model
from tasks.publish import send_report
from tasks.register import register_best
from tasks.registry import registrations
from tasks.registry.registered_model import load_pyfunc
from tasks.report import write_report
from tasks.store import artefacts, fingerprint
from tasks.tracking import mlflow_client, outbox, runs
from tasks.tracking.recording import list_runs
from tests.processes import Fresh

TABLE = {
    "name": "small",
    "source": {"dataset": "files", "path": "rows.csv"},
    "training": {"epochs": 2, "device": "cpu"},
    "registry": {"certificate_rows": 8},
    "evaluate": {"resamples": 100},
    "candidates": [
        {"name": "gru", "model": {"cell": "gru", "embedding_size": 8, "hidden_size": 8}},
        {"name": "rnn", "model": {"cell": "rnn", "embedding_size": 8, "hidden_size": 8}},
    ],
}
STAGES = [
    *("ingest", "split", "encode", "shard", "fit gru", "fit rnn", "stack"),
    *("baseline tfidf-logistic", "baseline naive-bayes-logistic", "evaluate gru", "evaluate rnn", "evaluate stacked"),
    *("evaluate tfidf-logistic", "evaluate naive-bayes-logistic", "register", "gate", "report", "publish"),
]


def write_rows(path: Path) -> None:
    rng = random.Random(0)
    words = {label: [f"{label}{i}" for i in range(60)] + [f"word{i}" for i in range(60)] for label in ("neg", "pos")}
    lines = [f"{' '.join(rng.choices(words[label], k=12))},{label}" for label in ("neg", "pos") for _ in range(100)]
    path.write_text("\n".join(["text,label", *lines, ""]))


def small_recipe(*settings: str) -> Recipe:
    return build_recipe(Path("small.toml"), TABLE, settings=settings)


Trained = tuple[Path, Outcome]


def train_in(folder: Path, recipe: Recipe) -> Trained:
    """Train in a project folder that no test works in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(folder))
        patch.chdir(folder)
        return folder, train(recipe)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own project folder, a copy of the one in which its model was trained."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setenv("RNNFLOW_HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder


def settle_in(home: Path, trained: Trained) -> Outcome:
    folder, outcome = trained
    shutil.copytree(folder, home, dirs_exist_ok=True)
    return outcome


@pytest.fixture(scope="module")
def trained_on_texts(server: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("texts")
    write_rows(folder / "rows.csv")
    return train_in(folder, small_recipe())


@pytest.fixture
def first(home: Path, trained_on_texts: Trained) -> Outcome:
    return settle_in(home, trained_on_texts)


def flow_run_of(outcome: Outcome) -> dict:
    async def read() -> dict:
        async with get_client() as client:
            run = await client.read_flow_run(outcome.flow_run)
            of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
            artifacts = await client.read_artifacts(artifact_filter=of_run)
            return {"state": run.state.name, "tags": set(run.tags), "artifacts": {one.key: one for one in artifacts}}

    return asyncio.run(read())


def test_every_stage_runs_in_order_and_the_outcome_is_plain_json(first: Outcome):
    described = json.loads(json.dumps(dataclasses.asdict(first), allow_nan=False))

    assert [stage["name"] for stage in described["stages"]] == STAGES
    assert not any(stage["cached"] for stage in described["stages"])
    assert [candidate["name"] for candidate in described["candidates"]] == ["gru", "rnn", "stacked"]
    assert set(described["candidates"][0]["metrics"]["test"]["accuracy"]) == {"value", "low", "high"}
    assert described["registered"] == {"name": "small", "version": "1", "alias": "champion"}
    assert Path(described["report"]).is_file()


def test_a_linear_baseline_that_beats_the_networks_makes_the_join_win(first: Outcome):
    assert first.baselines[0]["metrics"]["valid"]["accuracy"]["value"] == 1.0
    gru, rnn, stacked = first.candidates
    assert first.best == "stacked"
    assert stacked["joins"] in {gru["name"], rnn["name"]}
    assert stacked["joined_with"] == first.best_baseline
    assert stacked["metrics"]["valid"]["loss"]["value"] < gru["metrics"]["valid"]["loss"]["value"]
    assert f"It adds {stacked['weight']:g} times" in Path(first.report).read_text()


def test_prefect_and_mlflow_name_each_other(first: Outcome):
    flow_run = flow_run_of(first)
    run = mlflow_client.connect().get_run(first.mlflow_run)

    assert flow_run["state"] == "Completed"
    assert f"mlflow:{first.mlflow_run}" in flow_run["tags"]
    assert {"results", "summary", "verdict", "mlflow", "fit-gru", "fit-rnn"} <= set(flow_run["artifacts"])
    assert first.mlflow_run in flow_run["artifacts"]["mlflow"].data
    assert run.data.tags[runs.FLOW_RUN] == first.flow_run
    assert run.info.status == "FINISHED"


def test_mlflow_holds_curves_report_and_model(first: Outcome):
    client = mlflow_client.connect()
    children = client.search_runs(
        [client.get_run(first.mlflow_run).info.experiment_id], f"tags.{runs.PARENT_RUN} = '{first.mlflow_run}'"
    )
    files = {file.path for file in client.list_artifacts(first.mlflow_run, "report")}

    assert {child.info.run_name for child in children} == {
        *("gru", "rnn", "stacked", "tfidf-logistic", "naive-bayes-logistic")
    }
    assert {child.info.status for child in children} == {"FINISHED"}
    gru = next(child for child in children if child.info.run_name == "gru")
    assert len(client.get_metric_history(gru.info.run_id, "fit/valid_loss")) == 2
    assert {"report/report.html", "report/losses.png", "report/calibration.png"} <= files
    listed = list_runs()[-1]
    assert (listed.run_id, listed.metric) == (first.mlflow_run, "accuracy")
    [best] = [one for one in first.candidates if one["name"] == first.best]
    assert listed.test == best["metrics"]["test"]["accuracy"]["value"]


def test_the_registered_model_reads_raw_text(first: Outcome):
    model = load_pyfunc(resolve_model("small@champion"))

    answers = model.predict(["pos1 pos2 word3", ""])

    assert len(answers) == 2


def test_a_second_run_reuses_every_stage_and_opens_no_mlflow_run(first: Outcome):
    before = len(list_runs())

    second = train(small_recipe())

    assert [stage["name"] for stage in second.stages if not stage["cached"]] == []
    assert second.mlflow_run == first.mlflow_run
    assert len(list_runs()) == before
    assert set(flow_run_of(second)["artifacts"]) == {"results", "summary", "verdict", "memory", "mlflow"}


def test_a_later_best_model_is_registered_as_challenger(first: Outcome):
    outcome = train(small_recipe("candidates=gru", "training.seed=2"))

    assert outcome.registered == {"name": "small", "version": "2", "alias": "challenger"}
    assert {stage["name"] for stage in outcome.stages if stage["cached"]} == {
        *("ingest", "split", "encode", "shard", "baseline tfidf-logistic", "evaluate tfidf-logistic"),
        *("baseline naive-bayes-logistic", "evaluate naive-bayes-logistic"),
    }


def skip_message() -> str:
    state = retrain(small_recipe(), return_state=True)
    return state.message if state.name == "Skipped" else ""


def test_a_tick_without_news_is_skipped_in_seconds_and_loads_neither_torch_nor_mlflow(
    first: Outcome, home: Path, fresh_process: Fresh
):
    code = (
        "import sys; from pathlib import Path; from tests.flows.test_train import small_recipe;"
        "from flows.retrain import describe_nothing_new as describe;"
        "print(describe(small_recipe()), sorted({'torch', 'mlflow', 'sklearn'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]

    shown = fresh_process.run(f"import sys; sys.path.append({str(root)!r}); {code}", cwd=home)

    assert shown.stdout == "skipped, champion v1 is current []\n", shown.stderr
    assert skip_message() == "skipped, champion v1 is current"


def test_a_changed_recipe_is_news(first: Outcome):
    assert retrain_reason("training.seed=9") == ""
    assert retrain_reason("evaluate.resamples=101") == ""
    assert retrain_reason() == "skipped, champion v1 is current"


def test_what_the_keys_of_a_run_count_is_what_retrain_looks_at(first: Outcome):
    looked_at = [fingerprint.describe_code(*modules) for modules in modules_of(find_kind(small_recipe().kind))]
    opened = [artefacts.open_artefact(f"{one['name'].partition(' ')[0]}/{one['key']}") for one in first.stages]
    trained = [one.manifest for one in opened if one.stage not in ("gate", "report", "publish")]

    counted = [{"code": manifest["code"], "libraries": manifest["libraries"]} for manifest in trained]

    assert all(one in looked_at for one in counted)
    assert all(one in counted for one in looked_at)


def test_a_champion_that_is_gone_is_news(first: Outcome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("RNNFLOW_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    held = registrations.read_versions("small")["1"]
    for number, content in enumerate((held, "of another model")):
        entry = {"champion": "1", "champion_content": content, "trigger": current_trigger(small_recipe())}
        ledger.append(ledger.Draft(model="small", action="promote", reason="r", actor="kim", **entry), expected=number)

        assert bool(retrain_reason()) == (content == held)


def retrain_reason(*settings: str) -> str:
    from flows.retrain import describe_nothing_new

    return describe_nothing_new(small_recipe(*settings))


def test_new_rows_are_trained_on_from_the_champion_and_judged_on_the_old_test_rows(first: Outcome, home: Path):
    before = ledger.read_entries("small")
    held = artefacts.open_artefact(before[0].splits)
    with (home / "rows.csv").open("a") as rows:
        rows.write("neg1 neg2 neg3 brandnew1,neg\npos1 pos2 pos3 brandnew2,pos\n")

    outcome = retrain(small_recipe("candidates=gru"), warm_start=True)

    entry = ledger.read_entries("small")[-1]
    splits = artefacts.open_artefact(entry.splits)
    texts = [pl.read_parquet(one.file("test.parquet"))["text"].sort().to_list() for one in (held, splits)]
    assert texts[0] == texts[1]
    assert splits.summary["splits"]["train"] == held.summary["splits"]["train"] + 2
    assert entry.holdout == before[0].holdout
    assert entry.action == outcome.gate["verdict"] in ("kept", "promoted")
    assert retrain(small_recipe("candidates=gru"), return_state=True).name == "Skipped"


def test_a_run_that_mlflow_does_not_answer_completes_and_is_delivered_later(
    first: Outcome, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        patch.setenv("RNNFLOW_MLFLOW_WAIT_S", "0.5")
        outcome = train(small_recipe("candidates=gru", "training.seed=4"))
        waiting = outbox.deferred()
        with pytest.raises(ServiceError, match="E-SVC-004"):
            finish_deferred(waiting[0])
        assert [order["flow_run_id"] for order in outbox.deferred()] == [outcome.flow_run]

    assert flow_run_of(outcome)["state"] == "Completed"
    assert (outcome.registered, outcome.report) == ({}, "")
    assert outcome.pending == "pending sync: 3 records and the registration wait for MLflow."
    assert [order["flow_run_id"] for order in waiting] == [outcome.flow_run]
    assert finish_deferred(waiting[0]).startswith("registered small/")


def test_a_failed_flow_leaves_no_run_open(first: Outcome, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise RuntimeError("the machine caught fire")

    monkeypatch.setattr("tasks.labelled.register.sample_rows", fail)
    with pytest.raises(RuntimeError, match="caught fire"):
        train(small_recipe("candidates=gru", "training.seed=3"))

    assert [run.status for run in list_runs()].count("FAILED") == 1
    assert {run.status for run in list_runs()} == {"FINISHED", "FAILED"}


LOADS = {
    "name": "loads",
    "kind": "forecast",
    "source": {"path": "loads.csv", "id_column": "station", "value_columns": ["load"]},
    "shard": {"look_back": 24, "horizon": 4},
    "training": {"epochs": 1, "device": "cpu"},
    "registry": {"certificate_rows": 8},
    "evaluate": {"resamples": 100},
    "candidates": [{"name": "gru", "model": {"hidden_size": 4, "segment_length": 4}}],
}
FORECAST_STAGES = [
    *("ingest", "split", "encode", "shard", "fit gru", "baseline seasonal-naive", "baseline drift", "baseline ridge"),
    *("evaluate gru", "evaluate seasonal-naive", "evaluate drift", "evaluate ridge"),
    *("register", "gate", "report", "publish"),
]


def write_loads(path: Path, num_hours: int) -> None:
    rng = random.Random(1)
    lines = [
        f"{station},2024-03-{hour // 24 + 1:02}T{hour % 24:02}:00:00Z,{level + hour % 24 + rng.random()}"
        for station, level in (("north", 10), ("south", 40))
        for hour in range(num_hours)
    ]
    path.write_text("\n".join(["station,time,load", *lines, ""]))


@pytest.fixture(scope="module")
def trained_on_loads(server: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("loads")
    write_loads(folder / "loads.csv", 240)
    return train_in(folder, build_recipe(Path("loads.toml"), LOADS))


@pytest.fixture
def forecasting(home: Path, trained_on_loads: Trained) -> Outcome:
    return settle_in(home, trained_on_loads)


def test_series_go_through_the_same_flow(forecasting: Outcome):
    described = json.loads(json.dumps(dataclasses.asdict(forecasting), allow_nan=False))

    assert [stage["name"] for stage in described["stages"]] == FORECAST_STAGES
    assert described["kind"] == "forecast"
    assert described["registered"] == {"name": "loads", "version": "1", "alias": "champion"}
    assert described["gate"]["verdict"] == "first"
    page = Path(described["report"]).read_text()
    assert "the MSE of gru is lower than that of the best baseline" in page
    assert page.count('<img src="data:image/png;base64,') == 6


def test_the_example_of_a_forecaster_is_forecast_as_it_stands(forecasting: Outcome, home: Path):
    predicted = predict_file("loads", Path(forecasting.example), home / "forecasts.csv")

    assert (predicted.series, predicted.rows) == (1, 4)


def test_a_retrained_forecaster_is_judged_on_the_newest_windows(forecasting: Outcome, home: Path):
    recipe = build_recipe(Path("loads.toml"), LOADS)
    assert retrain(recipe, return_state=True).name == "Skipped"

    write_loads(home / "loads.csv", 480)
    outcome = retrain(recipe)

    assert outcome.registered["version"] == "2"
    assert outcome.gate["verdict"] in ("promoted", "kept")
    assert "of champion v1 on" in outcome.gate["reasons"][0]


def test_a_backtest_scores_each_cutoff_and_registers_nothing(forecasting: Outcome):
    result = backtest(build_recipe(Path("loads.toml"), LOADS), cutoffs=2)

    assert len(result.cutoffs) == 2
    assert {row["model"] for row in result.summary} == {"gru", "seasonal-naive", "drift", "ridge"}
    assert len(result.records) == 8
    assert not [entry for entry in ledger.read_entries("loads") if entry.flow_run == result.flow_run]


PUMPS = {
    "name": "pumps",
    "kind": "detect",
    "source": {"path": "pumps.csv", "id_column": "station", "value_columns": ["load"]},
    "shard": {"look_back": 12, "horizon": 6},
    "training": {"epochs": 1, "device": "cpu"},
    "registry": {"certificate_rows": 8},
    "evaluate": {"resamples": 100},
    "candidates": [{"name": "gru", "model": {"hidden_size": 4, "segment_length": 3}}],
}
DETECTION_BASELINES = ("level", "moving-average", "windowed-gaussian")
DETECTION_STAGES = [
    *("ingest", "split", "encode", "shard", "fit gru", *(f"baseline {name}" for name in DETECTION_BASELINES)),
    *("evaluate gru", *(f"evaluate {name}" for name in DETECTION_BASELINES), "register", "gate", "report", "publish"),
]


@pytest.fixture(scope="module")
def trained_on_pumps(server: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("pumps")
    write_loads(folder / "pumps.csv", 240)
    return train_in(folder, build_recipe(Path("pumps.toml"), PUMPS))


@pytest.fixture
def detecting(home: Path, trained_on_pumps: Trained) -> Outcome:
    return settle_in(home, trained_on_pumps)


@pytest.mark.parametrize("project_of", ["trained_on_texts", "trained_on_loads", "trained_on_pumps"])
def test_manifests_hold_what_their_stages_say_that_they_report(
    project_of: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    folder, outcome = request.getfixturevalue(project_of)
    monkeypatch.setenv("RNNFLOW_HOME", str(folder))
    kind = find_kind(outcome.kind)
    writers = {
        "ingest": kind.ingest.load().write_rows,
        "split": kind.split.load().write_splits,
        "encode": kind.encode.load().write_encoded,
        "shard": kind.shard.load().write_shards,
        "fit": write_fitted,
        **({"stack": kind.stack.load().write_stacked} if kind.stack else {}),
        "evaluate": kind.evaluate.load().write_evaluation,
        "register": register_best,
        "gate": write_verdict,
        "report": write_report,
        "publish": send_report,
    }
    for name, write in kind.baseline.load().BASELINES.items():
        writers[f"baseline {name}"] = getattr(write, "func", write)

    for stage in outcome.stages:
        name = stage["name"] if stage["name"] in writers else stage["name"].partition(" ")[0]
        artefact = artefacts.open_artefact(f"{name.partition(' ')[0]}/{stage['key']}")
        assert writers[name].__annotations__["return"].of(artefact).as_json() == artefact.summary


def test_detectors_go_through_the_same_flow(detecting: Outcome):
    described = json.loads(json.dumps(dataclasses.asdict(detecting), allow_nan=False))

    assert [stage["name"] for stage in described["stages"]] == DETECTION_STAGES
    assert described["kind"] == "detect"
    assert described["registered"] == {"name": "pumps", "version": "1", "alias": "champion"}
    assert described["gate"]["verdict"] == "first"
    assert '<img src="data:image/png;base64,' in Path(described["report"]).read_text()
    again = train(build_recipe(Path("pumps.toml"), PUMPS))
    assert {stage["cached"] for stage in again.stages} == {True}


def test_the_example_of_a_detector_is_judged_as_it_stands(detecting: Outcome, home: Path):
    predicted = predict_file("pumps", Path(detecting.example), home / "judged.csv")

    assert predicted.rows == pl.read_csv(home / "judged.csv").height > 0


def test_a_retrained_detector_is_judged_on_the_newest_rows(detecting: Outcome, home: Path):
    recipe = build_recipe(Path("pumps.toml"), PUMPS)
    assert retrain(recipe, return_state=True).name == "Skipped"

    write_loads(home / "pumps.csv", 480)
    outcome = retrain(recipe)

    assert outcome.registered["version"] == "2"
    assert outcome.gate["verdict"] in ("promoted", "kept")
    assert "of champion v1 on" in outcome.gate["reasons"][0]
