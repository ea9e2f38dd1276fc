"""The model that answers, and how it follows its alias: a new champion takes over between requests or not at all."""

import asyncio
import datetime
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rnnmodels.durable import sha256_of_file, write_durably
from tasks.contract.kind import Kind
from tasks.contract.services import ServeModule
from tasks.errors import InputError, IntegrityError, RnnflowError, ServiceError, quoted
from tasks.kinds import kind_of_model
from tasks.promotion import named_models
from tasks.promotion.named_models import ModelReference
from tasks.registry import registered_model
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import SERVING
from tasks.store.artefacts import home

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class ServedModel:
    """A version in memory that has answered once, with its kind's module, which queries it."""

    registered: RegisteredModel
    kind: Kind
    module: ServeModule[Any]
    model: Any
    loaded: str

    @property
    def label(self) -> str:
        """`name/version`."""
        return self.registered.label


def load_served(registered: RegisteredModel) -> ServedModel:
    """Read a version and have it answer, so that the first request finds it warm.

    Raises InputError (E-SRV-007) for a model whose kind cannot be served, IntegrityError (E-INT-001, E-SRV-005).
    """
    kind = kind_of_model(registered.parts)
    if kind.serve is None:
        raise InputError(
            "E-SRV-007",
            f"model {registered.label} is of kind {quoted(kind.name)}, whose models cannot be served.",
            fix="use `rnnflow predict`, or MLflow's server: mlflow models serve -m "
            f"models:/{registered.label} --env-manager local",
        )
    module = kind.serve.load()
    model = module.load_model(registered.parts)
    if not module.warm_up(model):
        raise IntegrityError(
            "E-SRV-005",
            f"model {registered.label} returns numbers that are not finite.",
            fix="promote another version.",
        )
    loaded = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return ServedModel(registered=registered, kind=kind, module=module, model=model, loaded=loaded)


def refuse_other_kind(found: RegisteredModel, served: ServedModel) -> None:
    """Refuse a version that would answer different questions from the one before it.

    Raises InputError (E-SRV-008).
    """
    kind = kind_of_model(found.parts)
    if kind != served.kind:
        raise InputError(
            "E-SRV-008",
            f"model {found.label} is of kind {quoted(kind.name)}, but clients query kind {quoted(served.kind.name)}.",
            fix="restart the server, or promote a version of the kind that it serves.",
        )


@dataclass
class ModelFollower:
    """Holds the model that a reference names; `problem` says why a newer one does not answer, or is empty."""

    reference: ModelReference
    current: ServedModel
    problem: str = ""

    async def follow(self, poll_s: float) -> None:
        """Look for a new version every few seconds, if the reference is an alias, until cancelled."""
        while self.reference.alias:
            await asyncio.sleep(poll_s)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Switch to the version that the alias names now, unless it is unavailable or broken."""
        served, problem = self.current, ""
        try:
            found = named_models.resolve_model(str(self.reference))
            if found != self.current.registered:
                refuse_other_kind(found, self.current)
                served = load_served(found)
                remember(self.reference, found)
        except RnnflowError as error:
            problem = str(error).partition("\n")[0]
        except Exception as error:  # noqa: BLE001 (whatever a broken model does, the old one still answers)
            problem = f"unexpected {type(error).__name__}: {quoted(error)}"
        if (served, problem) != (self.current, self.problem):
            logger.warning(
                "%s", f"Still serving {served.label}: {problem}" if problem else f"Now serving {served.label}."
            )
        self.current, self.problem = served, problem


def start_following(text: str) -> ModelFollower:
    """Load the model that a reference names or, if it is unavailable, the one that it named last on this machine.

    Raises InputError (E-NAME-001, E-REG-001, E-REG-002), IntegrityError or ServiceError if there is neither.
    """
    reference = named_models.parse_reference(text)
    try:
        found = named_models.resolve_model(text)
        served = load_served(found)
    except (ServiceError, IntegrityError) as error:
        known = recall(reference)
        if known is None:
            raise
        problem = str(error).partition("\n")[0]
        logger.warning("Serving %s as remembered on this machine: %s", known.label, problem)
        return ModelFollower(reference, load_served(known), problem)
    remember(reference, found)
    return ModelFollower(reference, served)


def remember(reference: ModelReference, model: RegisteredModel) -> None:
    """Record on this machine where the files of the version are that a reference names."""
    path = _memory(reference)
    path.parent.mkdir(parents=True, exist_ok=True)
    places = {"folder": str(model.folder.relative_to(home())), "files_sha256": sha256_of_file(model.parts / SERVING)}
    fields = asdict(model) | places
    write_durably(path, json.dumps(fields, indent=1).encode())


def recall(reference: ModelReference) -> RegisteredModel | None:
    """Return what was remembered, None if nothing was; raises IntegrityError (E-REG-003) if its files have changed."""
    path = _memory(reference)
    if not path.is_file():
        return None
    fields = json.loads(path.read_bytes())
    files_sha256 = fields.pop("files_sha256")
    model = RegisteredModel(**fields | {"folder": home() / fields["folder"]})
    return registered_model.checked_model(model, files_sha256)


def _memory(reference: ModelReference) -> Path:
    return home() / "data" / "serving" / reference.name / f"{reference.alias or reference.version}.json"
