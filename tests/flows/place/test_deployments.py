"""What is told to a Prefect server: the file of deployments, automations and base job templates."""

import importlib
import json
import re
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import yaml
from click.testing import CliRunner
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.flows import Flow
from prefect.server.schemas.actions import WorkPoolCreate
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate

from flows.commands.place import up
from flows.place.automations import crash_zombies, model_of, retrain_on_drift
from flows.place.deployments import check_deployments
from flows.place.furnishing import deployment_names, deployments_file
from flows.place.settings import place_folder
from flows.place.supervision import CONFIGURATION
from tasks.errors import InputError

ROOT = Path(__file__).parents[3]
FILE = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DEPLOYMENTS = {deployment["name"]: deployment for deployment in FILE["deployments"]}
POOLS = ROOT / "docs" / "work-pools"
COLLECTIONS = "server/api/collections_data/views/aggregate-worker-metadata.json"


def load_flow(entrypoint: str) -> Flow:
    module, _, name = entrypoint.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_prefect_reads_the_file_as_it_is_meant():
    model = PrefectYamlModel.model_validate(FILE)

    assert [deployment.name for deployment in model.deployments] == list(DEPLOYMENTS)
    assert {name: one["work_pool"] for name, one in DEPLOYMENTS.items()} == {
        "train": {"name": "cpu"},
        "fit": {"name": "gpu", "work_queue_name": "fits"},
        "backtest": {"name": "cpu"},
        "new": {"name": "cpu"},
        "predict": {"name": "cpu"},
        "tidy": {"name": "cpu"},
    }


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_entrypoint_is_a_flow_of_that_name_that_takes_the_parameters(name: str):
    flow = load_flow(DEPLOYMENTS[name]["entrypoint"])

    assert flow.name == name
    schema = parameter_schema(flow).model_dump(exclude_unset=True)
    assert validate(DEPLOYMENTS[name].get("parameters", {}), schema, raise_on_error=True, ignore_required=True) == []


def test_the_file_holds_no_recipe():
    assert [name for name, one in DEPLOYMENTS.items() if "parameters" in one] == []
    assert "definitions" not in FILE


def test_schedules_have_a_slug_a_time_zone_and_never_overlap():
    scheduled = {name: one for name, one in DEPLOYMENTS.items() if "schedules" in one}

    assert set(scheduled) == {"tidy"}
    for deployment in scheduled.values():
        assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
        for schedule in deployment["schedules"]:
            assert schedule["slug"]
            assert "active" not in schedule  # it would switch on again what someone switched off
            assert "interval" in schedule or schedule["timezone"]


def test_a_project_brings_its_own_file(project: Path):
    assert deployments_file() == ROOT / "prefect.yaml"

    (project / "prefect.yaml").write_text("deployments: [{name: mine}]")

    assert deployments_file() == project / "prefect.yaml"
    assert deployment_names(deployments_file()) == ["mine"]


@pytest.mark.parametrize("content", ["", "deployments: 3", "deployments: [{}]", "deployments: [", "- a"])
def test_a_file_without_named_deployments_is_refused(project: Path, content: str):
    (project / "prefect.yaml").write_text(content)

    with pytest.raises(InputError, match=r"E-CFG-013 .*prefect\.yaml: lists no named deployments"):
        deployment_names(project / "prefect.yaml")


MINE = """deployments:
  - name: mine
    entrypoint: flows.train.train
    parameters:
      recipe: {{name: mine, source: {{path: rows.csv, {source}}}}}
      refresh: {refresh}
"""


def refusal_of(project: Path, *, source: str = "quoted: no", refresh: str = "no") -> str:
    file = project / "prefect.yaml"
    file.write_text(MINE.format(source=source, refresh=refresh))
    with pytest.raises(InputError) as caught:
        check_deployments(file)
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "where: {country: no}",
            "E-CFG-016 recipe.source.where.country: got no, which YAML reads as false.\n"
            'Fix: put it in quotes ("no"), or write false if that is meant.',
        ),
        (
            "where: {on: a}",
            "E-CFG-016 recipe.source.where.on: got on, which YAML reads as true.\n"
            'Fix: put it in quotes ("on"), or write true if that is meant.',
        ),
        (
            "where: {day: 2026-01-31}",
            "E-CFG-016 recipe.source.where.day: got 2026-01-31, which YAML reads as the day "
            '2026-01-31.\nFix: put it in quotes ("2026-01-31").',
        ),
        (
            "where: {house: 12}",
            "E-CFG-016 recipe.source.where.house: got 12, which YAML reads as the number 12.\n"
            'Fix: put it in quotes ("12").',
        ),
        (
            "max_rows: 0100",
            "E-CFG-016 recipe.source.max_rows: got 0100, which YAML reads as the number 64.\n"
            'Fix: put it in quotes ("0100"), or write 64 if that is meant.',
        ),
        (
            "max_rows: 1e3",
            "E-CFG-016 recipe.source.max_rows: got 1e3, which YAML reads as text.\n"
            'Fix: put it in quotes ("1e3"), or write 1000 if that is meant.',
        ),
        (
            "max_rows: yes",
            "E-CFG-016 recipe.source.max_rows: got yes, which YAML reads as true.\n"
            'Fix: put it in quotes ("yes"), or write true if that is meant.',
        ),
        (
            "quotedd: true",
            'E-CFG-003 recipe.source.quotedd: unknown key.\nFix: write "recipe.source.quoted".',
        ),
    ],
)
def test_what_yaml_turns_into_something_else_is_refused_where_it_stands(project: Path, source: str, expected: str):
    where = f'{project / "prefect.yaml"}:5: deployment "mine": '

    assert refusal_of(project, source=source).replace(where, "") == expected


def test_a_yes_or_no_is_taken_where_the_flow_asks_for_one(project: Path):
    (project / "prefect.yaml").write_text(MINE.format(source="quoted: no", refresh="yes"))
    check_deployments(project / "prefect.yaml")

    assert "recipe.refresh" not in refusal_of(project, refresh="2")
    assert 'deployment "mine": refresh: got 2, which YAML reads as the number 2.' in refusal_of(project, refresh="2")
    check_deployments(ROOT / "prefect.yaml")


@pytest.mark.parametrize("columns", ["text_column: body", "text_columns: body", "text_columns: [title, body]"])
def test_the_columns_of_a_recipe_may_be_spelled_in_every_way(project: Path, columns: str):
    (project / "prefect.yaml").write_text(MINE.format(source=f'{columns}, missing_values: ["?"]', refresh="no"))

    check_deployments(project / "prefect.yaml")


def test_up_refuses_such_a_file_before_it_starts_anything(project: Path):
    (project / "prefect.yaml").write_text(MINE.format(source="where: {country: no}", refresh="no"))

    shown = CliRunner().invoke(up, [])

    assert shown.exit_code == 2
    assert len(shown.output.splitlines()) == 2
    assert "E-CFG-016" in shown.output
    assert not (place_folder() / CONFIGURATION).exists()


def test_a_run_is_a_zombie_after_three_missed_heartbeats_and_no_last_word():
    trigger = crash_zombies().trigger

    assert trigger.within == timedelta(seconds=90)
    assert trigger.after == {"prefect.flow-run.heartbeat"}
    assert {"prefect.flow-run.heartbeat", "prefect.flow-run.Completed", "prefect.flow-run.Skipped"} <= trigger.expect
    assert crash_zombies().actions[0].state == "CRASHED"


@pytest.mark.parametrize(
    ("recipe", "model"),
    [
        ({"name": "tickets"}, "tickets"),
        ({"name": "tickets", "registry": {"model_name": "queues"}}, "queues"),
        ({"name": "tickets", "advanced": {"registry": {"model_name": "queues"}}}, "queues"),
    ],
)
def test_drift_of_a_model_starts_the_retraining_of_its_recipe(recipe: dict, model: str):
    assert model_of(recipe) == model


def test_drift_starts_a_deployment_of_the_flow_retrain():
    deployment_id = UUID(int=7)

    automation = retrain_on_drift(deployment_id, "reviews", "reviews")

    assert automation.name == "rnnflow: reviews on drift"
    assert automation.trigger.expect == {"rnnflow.drift"}
    assert automation.trigger.match.root == {"prefect.resource.id": "rnnflow.model.reviews"}
    assert automation.actions[0].deployment_id == deployment_id


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_base_job_templates_extend_those_of_prefect(kind: str):
    import prefect

    bundled = json.loads((Path(prefect.__file__).parent / COLLECTIONS).read_text())
    original = bundled[f"prefect-{kind}"][kind]["default_base_job_configuration"]
    template = json.loads((POOLS / f"{kind}.json").read_text())

    WorkPoolCreate(name="gpu", type=kind, base_job_template=template)
    used = set(re.findall(r"{{ (\w+) }}", json.dumps(template["job_configuration"])))
    assert used == set(template["variables"]["properties"])
    assert set(original["variables"]["properties"]) <= set(template["variables"]["properties"])
    assert set(original["job_configuration"]) <= set(template["job_configuration"])
    defaults = {name: one.get("default") for name, one in template["variables"]["properties"].items()}
    assert defaults["env"]["RNNFLOW_HOME"] == "/project"
    assert defaults["image"] == "rnnflow:latest"


def test_a_template_with_a_placeholder_that_means_nothing_is_refused():
    template = json.loads((POOLS / "docker.json").read_text())
    template["job_configuration"]["gpus"] = "{{ gpus }}"

    with pytest.raises(ValueError, match="gpus"):
        WorkPoolCreate(name="gpu", type="docker", base_job_template=template)
