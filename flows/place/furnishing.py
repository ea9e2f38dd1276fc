"""What a Prefect server is told of us: pools, deployments and automations, brought up to date when they changed."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import flows
from flows.place.automations import ZOMBIES, update_automations
from flows.place.parts import CPU_POOL, FIT_QUEUE, GPU_POOL, client_environment, exported
from flows.place.prefect_api import answering, answers, ask, deployed_names, exists, without_credentials
from flows.place.project_recipes import DeployedProject, deploy_project
from flows.place.recipe_deployments import DeployedRecipe, deploy_recipe, read_surroundings
from flows.place.settings import PlaceSettings, place_folder
from rnnmodels.durable import sha256_of_file, write_durably
from tasks.errors import InputError, ServiceError, quoted
from tasks.store.artefacts import home
from tasks.store.fingerprint import digest_of

if TYPE_CHECKING:
    from flows.recipes.schedule import ScheduleSettings

DEPLOYMENTS_FILE = "prefect.yaml"
CODE = Path(flows.__file__).parents[1]
ROOMS = ("flows", "tasks", "rnnmodels")
DEPLOY_COMMAND = ("-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file")


@dataclass(frozen=True, kw_only=True)
class Furnished:
    """Whether `prefect.yaml` was deployed now, and what became of the project's recipes."""

    deployed: bool
    recipes: DeployedProject


def furnish(settings: PlaceSettings) -> Furnished:
    """Bring pools, deployments, recipes and automations up to date.

    Raises InputError (E-CFG-013), ServiceError (E-SVC-013).
    """
    file = deployments_file()
    wanted = _digest(settings, file)
    is_new = not _is_furnished(settings, file, wanted)
    if is_new:
        ensure_pools(settings)
        deploy(settings, file)
    recipes = deploy_project(read_surroundings(settings, file, _digest_of_code()))
    if is_new or recipes.deployed:
        with exported(client_environment(settings)):
            update_automations()
    write_durably(_record(), json.dumps({"digest": wanted}).encode())
    return Furnished(deployed=is_new, recipes=recipes)


def deploy_one(settings: PlaceSettings, file: Path, schedule: "ScheduleSettings | None") -> DeployedRecipe:
    """Deploy one recipe on the server of a place that is up.

    Raises InputError (E-CFG-001 to E-CFG-006, E-CFG-030, E-CFG-031, and for rows that cannot be read what
    `refuse_unreadable` does), ServiceError (E-SVC-001, E-SVC-014).
    """
    from flows.recipes.first_look import refuse_unreadable
    from flows.recipes.recipe import load_recipe

    if not answers(settings.prefect_api):
        address = quoted(without_credentials(settings.prefect_api))
        raise ServiceError(
            "E-SVC-001", f"no Prefect server answers at {address}.", fix="start one with `rnnflow up`, then try again."
        )
    recipe = load_recipe(str(file))
    with contextlib.chdir(home()):  # where the workers run it
        refuse_unreadable(recipe)
    with answering(settings.prefect_api):
        ensure_pools(settings)
        deployed = deploy_recipe(
            file, read_surroundings(settings, deployments_file(), _digest_of_code()), schedule=schedule
        )
        with exported(client_environment(settings)):
            update_automations()
    return deployed


def check_file(settings: PlaceSettings) -> None:
    """Refuse a `prefect.yaml` that hands our flows what they do not take, unless it was deployed as it is.

    Raises InputError (E-CFG-003, E-CFG-004, E-CFG-013, E-CFG-016, E-NAME-001).
    """
    file = deployments_file()
    deployment_names(file)
    if not _is_recorded(_digest(settings, file)):
        # Our flows import Prefect, which reads its settings once: those that deploying needs later.
        with exported(client_environment(settings)):
            from flows.place.deployments import check_deployments

            check_deployments(file)


def deployments_file() -> Path:
    """The project's own `prefect.yaml`, else the one next to this code.

    Raises InputError (E-CFG-013).
    """
    candidates = (home() / DEPLOYMENTS_FILE, CODE / DEPLOYMENTS_FILE)
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise InputError(
            "E-CFG-013",
            "does not exist; it says what to deploy.",
            fix="copy it from the rnnflow repository into the project folder.",
            file=candidates[0],
        )
    return found


def ensure_pools(settings: PlaceSettings) -> None:
    """Create the two pools and the queue of fits, which takes one run per GPU at a time."""
    api = settings.prefect_api
    for pool in (CPU_POOL, GPU_POOL):
        if not exists(f"{api}/work_pools/{pool}"):
            ask(f"{api}/work_pools/", {"name": pool, "type": "process"})
    queues = f"{api}/work_pools/{GPU_POOL}/queues"
    limit = {"name": FIT_QUEUE, "concurrency_limit": len(settings.devices)}
    if exists(f"{queues}/{FIT_QUEUE}"):
        ask(f"{queues}/{FIT_QUEUE}", limit, method="PATCH")
    else:
        ask(queues, limit)


def deploy(settings: PlaceSettings, file: Path) -> None:
    """Deploy everything in a file, as `prefect deploy --all` does.

    Raises ServiceError (E-SVC-013).
    """
    environment = {**os.environ, **client_environment(settings)}
    environment.pop("RNNFLOW_HOME", None)  # it stays a placeholder in what is deployed: each worker has its own
    command = [sys.executable, *DEPLOY_COMMAND, str(file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    log = place_folder() / "deploy.log"
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    missing = set(deployment_names(file)) - deployed_names(settings.prefect_api, deployment_names(file))
    if done.returncode or missing:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()] or ["nothing"]
        raise ServiceError(
            "E-SVC-013",
            f"not everything was deployed; Prefect said {quoted(said[-1])}.",
            fix=f"fix what the log reports ({log}), then run `rnnflow up` again.",
            file=file,
        )


def deployment_names(file: Path) -> list[str]:
    """The names of the deployments in a file.

    Raises InputError (E-CFG-013).
    """
    import yaml

    try:
        return [deployment["name"] for deployment in yaml.safe_load(file.read_bytes())["deployments"]]
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise InputError(
            "E-CFG-013", f"lists no named deployments: {quoted(error)}.", fix="correct or remove the file.", file=file
        ) from error


def _is_furnished(settings: PlaceSettings, file: Path, digest: str) -> bool:
    """Tell whether this was deployed before and is still all there; a database may have been moved away."""
    if not _is_recorded(digest):
        return False
    api, names = settings.prefect_api, deployment_names(file)
    automations = {automation["name"] for automation in ask(f"{api}/automations/filter", {})}
    return set(names) == deployed_names(api, names) and ZOMBIES in automations


def _is_recorded(digest: str) -> bool:
    record = _record()
    return record.exists() and json.loads(record.read_bytes()) == {"digest": digest}


def _digest(settings: PlaceSettings, file: Path) -> str:
    """What the server was told depends on the file, on our code (which shapes the forms) and on Prefect."""
    return digest_of(
        {
            "file": sha256_of_file(file),
            "code": _digest_of_code(),
            "prefect": metadata.version("prefect"),
            "server": settings.prefect_api,
            "devices": settings.devices,
        }
    )


def _digest_of_code() -> str:
    sources = (path for room in ROOMS for path in sorted((CODE / room).rglob("*.py")))
    return digest_of([sha256_of_file(path) for path in sources])


def _record() -> Path:
    return place_folder() / "furnished.json"
