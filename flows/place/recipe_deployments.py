"""Recipes as deployments: `train/tickets`, `retrain/tickets`, `predict/tickets`, `monitor/tickets` of `tickets.toml`.

A deployment holds what the file states, and its version is a digest of that and of our code. What was paused or
scheduled in the dashboard stays so.
"""

import copy
import functools
import importlib
import json
import re
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from flows.place.parts import CPU_POOL, client_environment, exported
from flows.place.prefect_api import Json, ask, find
from flows.place.settings import PlaceSettings
from flows.recipes.recipe_file import read_table
from flows.recipes.schedule import ScheduleSettings
from tasks.errors import InputError, quoted
from tasks.store.artefacts import home
from tasks.store.fingerprint import digest_of

if TYPE_CHECKING:
    from tasks.contract.recipe import Recipe

TAGS, FOLDER_TAG = ["rnnflow", "recipe"], "folder:"
TRAINING, SCHEDULED, RETRAINING = ("train", "retrain", "backtest"), ("retrain", "monitor"), "retrain"
DESCRIPTIONS = {
    "train": "From the rows of the recipe to a registered model and a report. Finished stages are reused.",
    "retrain": 'Train if rows, recipe or code changed since the last time; else end at once with "skipped".',
    "predict": "Answer the rows of a file on the worker's disk with the model of the recipe.",
    "monitor": "Compare what the model of the recipe saw lately with its validation rows; drift starts retrain.",
}
BACKTEST = {"backtest": "Train the recipe at several cut-offs in the past and score what followed each."}
OWN_FORM = {"title": "recipe", "description": "As deployed; what is changed here holds for this run."}
NIGHTLY = "0 2 * * *"
REFERENCE = re.compile(r'"#/definitions/([^"]+)"')
FROM_FILE, FROM_COMMAND = "recipe", "command"  # slugs of our schedules; those of the dashboard have others or none
PULL = [{"prefect.deployments.steps.set_working_directory": {"directory": "{{ $RNNFLOW_HOME }}"}}]
ONE_AT_A_TIME = {"concurrency_limit": 1, "concurrency_options": {"collision_strategy": "CANCEL_NEW"}}


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is the same for all recipes of a place: names that are taken, pool and steps, the digest of our code."""

    settings: PlaceSettings
    code: str
    taken: tuple[str, ...] = ()
    pool: str = CPU_POOL
    pull_steps: list[dict] = field(default_factory=lambda: PULL)


@dataclass(frozen=True, kw_only=True)
class DeployedRecipe:
    """A recipe that is deployed: its name, its file, when it is trained again in words, and the addresses by flow."""

    name: str
    file: Path
    schedules: list[str]
    addresses: dict[str, str]


def deploy_recipe(file: Path, around: Surroundings, *, schedule: ScheduleSettings | None = None) -> DeployedRecipe:
    """Create or update the deployments of one recipe; `schedule` is for a recipe that states none.

    Raises InputError: what reading a recipe raises, E-CFG-030 for a name that other deployments have, E-CFG-031 for two
    schedules.
    """
    api = around.settings.prefect_api
    with exported(client_environment(around.settings)):  # our flows import Prefect, which reads its settings at once
        recipe, stated = _read_recipe(file, schedule)
        flows = DESCRIPTIONS | (BACKTEST if recipe.kind == "forecast" else {})
        existing = {flow: _existing(api, flow, recipe.name) for flow in flows}
        _refuse_taken(file, recipe.name, around, existing)
        times = {
            flow: _schedules(flow, existing[flow].get("schedules", []), schedule=schedule, stated=stated)
            for flow in flows
        }
        addresses = {}
        for flow, text in flows.items():
            description = f"{text}\n\n{_show(file)}" if flow in TRAINING else text
            body = {
                **_describe_deployment(flow, recipe, around),
                "version": version_of(file, around),
                "description": description,
                "schedules": times[flow],
            }
            created = ask(f"{api}/deployments/", body)
            addresses[flow] = f"{around.settings.prefect_pages}/deployments/deployment/{created['id']}"
    schedules = [_describe_schedule(one) for one in times[RETRAINING]]
    return DeployedRecipe(name=recipe.name, file=file, schedules=schedules, addresses=addresses)


def version_of(file: Path, around: Surroundings) -> str:
    """What the deployments of a recipe are made from, in short."""
    parts = {"recipe": file.read_bytes().hex(), "code": around.code, "pool": around.pool, "pull": around.pull_steps}
    return digest_of(parts | {"prefect": metadata.version("prefect")})[:12]


def read_surroundings(settings: PlaceSettings, file: Path, code: str) -> Surroundings:
    """Take names, pool and steps from a `prefect.yaml`: recipes train where its deployment of `train` does."""
    import yaml

    listed = yaml.safe_load(file.read_bytes())
    train = next((one for one in listed["deployments"] if one.get("entrypoint") == "flows.train.train"), {})
    return Surroundings(
        settings=settings,
        code=code,
        taken=tuple(one["name"] for one in listed["deployments"]),
        pool=(train.get("work_pool") or {}).get("name", CPU_POOL),
        pull_steps=listed.get("pull") or PULL,
    )


def _read_recipe(file: Path, schedule: ScheduleSettings | None) -> "tuple[Recipe, ScheduleSettings | None]":
    """A recipe and the schedule that it states, which must not meet another."""
    from flows.recipes.recipe import build_recipe, read_schedule
    from flows.recipes.recipe_errors import Origin

    table = read_table(file)
    recipe, stated = build_recipe(file, table), read_schedule(table, Origin(path=file))
    if stated and schedule:
        raise InputError(
            "E-CFG-031",
            "has a section [schedule], and --cron states another time.",
            fix="change the section, or remove it and run the same command again.",
            file=file,
        )
    return recipe, stated


def _existing(api: str, flow: str, name: str) -> Json:
    return find(f"{api}/deployments/name/{flow}/{name}") or {"tags": TAGS}


def tags_of_project() -> list[str]:
    """What marks the deployments of the recipes of this project folder, as several may share a server."""
    return [*TAGS, f"{FOLDER_TAG}{home()}"]


def _refuse_taken(file: Path, name: str, around: Surroundings, existing: dict[str, dict]) -> None:
    problem = f"the name {quoted(name)} is that of a deployment in prefect.yaml." if name in around.taken else ""
    for flow, one in existing.items():
        folders = {tag for tag in one["tags"] if tag.startswith(FOLDER_TAG)}
        if not set(TAGS) <= set(one["tags"]):
            problem = problem or f"the deployment {quoted(f'{flow}/{name}')} exists, and was not made from a recipe."
        elif around.settings.given_prefect and folders and folders.isdisjoint(tags_of_project()):
            theirs = quoted(min(folders).removeprefix(FOLDER_TAG))
            problem = problem or f"the deployment {quoted(f'{flow}/{name}')} is that of the project folder {theirs}."
    if problem:
        fix = 'give the recipe another name, as in name = "tickets".'
        raise InputError("E-CFG-030", problem, fix=fix, file=file)


def _describe_deployment(flow: str, recipe: "Recipe", around: Surroundings) -> dict:
    """What a deployment of a recipe is, whatever the file is called and whenever it runs."""
    parameters, schema = _asked_by(flow, recipe)
    return {
        "name": recipe.name,
        "flow_id": ask(f"{around.settings.prefect_api}/flows/", {"name": flow})["id"],
        "tags": tags_of_project(),
        "entrypoint": f"flows.{flow}.{flow}",
        "pull_steps": around.pull_steps,
        "work_pool_name": around.pool,
        "parameters": parameters,
        "parameter_openapi_schema": schema,
        "enforce_parameter_schema": True,
        **(ONE_AT_A_TIME if flow in SCHEDULED else {}),
    }


def _asked_by(flow: str, recipe: "Recipe") -> tuple[dict, dict]:
    """The parameters of a recipe's deployment, and the schema of its form, which offers the recipe's kind alone."""
    schema = copy.deepcopy(_schema_of(flow))
    if flow in TRAINING:
        from flows.recipes.form import to_form

        parameters = {"recipe": to_form(recipe)}
        asked = schema["properties"]["recipe"]
        asked |= {part: [one for one in asked[part] if _is_of(recipe.kind, one)] for part in ("anyOf", "allOf")}
        asked |= asked.pop("anyOf")[0] | OWN_FORM
        schema["properties"].pop("continues", None)  # is for records that waited for MLflow
        _keep_reached(schema)
    else:
        parameters = {"model": recipe.model_name}
    # A quick run starts at once only where nothing is required that the deployment itself does not hold.
    return parameters, schema | {"required": [name for name in schema["required"] if name not in parameters]}


@functools.cache
def _schema_of(flow: str) -> dict:
    """The schema of all that a flow takes: Prefect computes for a second on one that offers every kind."""
    from prefect.utilities.callables import parameter_schema

    return parameter_schema(getattr(importlib.import_module(f"flows.{flow}"), flow)).model_dump(exclude_unset=True)


def _keep_reached(schema: dict) -> None:
    """Drop the definitions of other kinds: a server checks all that it is sent, which takes it seconds."""
    defined = schema.pop("definitions", {})
    reached, waiting = {}, REFERENCE.findall(json.dumps(schema))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = defined[name]
            waiting += REFERENCE.findall(json.dumps(defined[name]))
    schema["definitions"] = reached


def _is_of(kind: str, schema: dict) -> bool:
    return schema.get("if", schema)["properties"]["kind"]["const"] == kind


def _schedules(
    flow: str, existing: list[dict], *, schedule: ScheduleSettings | None, stated: ScheduleSettings | None
) -> list[dict]:
    """The schedules of a deployment: ours, on or off as it was, and those that were made in the dashboard.

    `schedule` is the command's, which stays until another is stated; the file's goes with its section.
    """
    chosen = (stated or schedule) if flow in SCHEDULED else None
    ours = {FROM_FILE, FROM_COMMAND} if chosen else {FROM_FILE}
    present = [{key: one[key] for key in ("slug", "schedule", "active", "parameters")} for one in existing]
    kept = [one for one in present if one["slug"] not in ours]
    if chosen is None:
        return kept
    times = {"cron": chosen.cron if flow == RETRAINING else NIGHTLY, "timezone": chosen.timezone}
    active = all(one["active"] for one in present if one["slug"] in ours)
    return [*kept, {"slug": FROM_FILE if stated else FROM_COMMAND, "schedule": times, "active": active}]


def _describe_schedule(schedule: dict) -> str:
    times = schedule["schedule"]
    text = " ".join(str(times[key]) for key in ("cron", "interval", "rrule", "timezone") if times.get(key))
    return text if schedule["active"] else f"{text} (paused)"


def _show(file: Path) -> str:
    """A recipe as the page of its deployment shows it."""
    return f"`{file.name}`:\n\n```toml\n{file.read_text(encoding='utf-8-sig').strip()}\n```"
