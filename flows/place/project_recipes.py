"""The recipes of a project folder: which of them are to be deployed, and what becomes of its other files.

Nothing is removed, and what is deployed as it is stays alone.
"""

from dataclasses import dataclass, field
from pathlib import Path

from flows.place.prefect_api import PAGE_SIZE, ask
from flows.place.recipe_deployments import (
    DESCRIPTIONS,
    DeployedRecipe,
    Surroundings,
    deploy_recipe,
    tags_of_project,
    version_of,
)
from flows.recipes.recipe_file import read_table, shipped_recipes
from tasks.errors import InputError, quoted
from tasks.store.artefacts import home

EXAMPLE = "reviews"  # what a folder without recipes gets, so that there is something to click


@dataclass(frozen=True, kw_only=True)
class DeployedProject:
    """What became of the files of a project folder: recipes deployed now, or before; a sentence on each other one."""

    deployed: list[DeployedRecipe] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def deploy_project(around: Surroundings) -> DeployedProject:
    """Deploy every recipe of the project folder that is new or changed; without one, the shipped example."""
    done = DeployedProject()
    present = _deployed_versions(around.settings.prefect_api)
    found = _find_recipes(done.notes)
    shipped = [name for name in shipped_recipes() if name in present or (name == EXAMPLE and not found)]
    found |= {shipped_recipes()[name]: name for name in shipped if name not in found.values()}
    names = list(found.values())
    for file, name in found.items():
        if names.count(name) > 1:
            done.notes.append(f"{file.name} was not deployed: another recipe is named {quoted(name)}, too.")
        elif _is_deployed(present.get(name, {}), version_of(file, around)):
            done.unchanged.append(name)
        else:
            try:
                done.deployed.append(deploy_recipe(file, around))
            except InputError as error:
                done.notes.append(_describe_refused(file, error))
    for name in sorted(set(present) - set(names)):
        done.notes.append(f"{name} is deployed, but by no recipe of the project folder; it stays as it is.")
    return done


def _deployed_versions(api: str) -> dict[str, dict[str, str]]:
    """The version of each deployment that was made from a recipe of this project, by recipe and flow."""
    mine = {"tags": {"all_": tags_of_project()}}
    found = ask(f"{api}/deployments/filter", {"deployments": mine, "limit": PAGE_SIZE})
    versions: dict[str, dict[str, str]] = {}
    for one in found:
        versions.setdefault(one["name"], {})[one["entrypoint"].rpartition(".")[2]] = one["version"]
    return versions


def _is_deployed(versions: dict[str, str], wanted: str) -> bool:
    """Tell whether all deployments of a recipe are there and of one version."""
    return set(DESCRIPTIONS) <= set(versions) and set(versions.values()) == {wanted}


def _find_recipes(notes: list[str]) -> dict[Path, str]:
    """The recipes of the project folder with their names; to `notes` is added what other TOML files are."""
    found = {}
    for file in sorted(home().glob("*.toml")):
        try:
            table = read_table(file)
        except InputError as error:
            notes.append(_describe_refused(file, error))
            continue
        if isinstance(table.get("source"), dict):
            found[file] = str(table["name"])
        else:
            notes.append(f"{file.name} was left alone: a recipe has a section [source].")
    return found


def _describe_refused(file: Path, error: InputError) -> str:
    return f"{file.name} was not deployed: {' '.join(str(error).splitlines())}"
