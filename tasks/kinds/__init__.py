"""The list of kinds: ours, and those that installed packages bring by the entry point `rnnflow.kinds`.

A kind is loaded when it is asked for, so that a prediction imports no other kind's settings. A package that cannot be
loaded, or claims a name that is taken, breaks no kind but its own.
"""

import dataclasses
import functools
import logging
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from tasks.contract.kind import Kind
from tasks.errors import InputError, quoted
from tasks.registry.served_parts import read_serving_fields

logger = logging.getLogger(__name__)

GROUP = "rnnflow.kinds"
# Where each kind is described, in the order in which forms and pages show them.
BUILT_IN = {
    "classify": "tasks.kinds.classify.recipe:CLASSIFY",
    "classify-series": "tasks.kinds.classify_series.recipe:CLASSIFY_SERIES",
    "forecast": "tasks.kinds.forecast.recipe:FORECAST",
    "detect": "tasks.kinds.detect.recipe:DETECT",
    "language": "tasks.kinds.language.recipe:LANGUAGE",
}
# Of a recipe that names none.
DEFAULT = "classify"


@functools.cache
def known_kinds() -> Mapping[str, tuple[EntryPoint, ...]]:
    """Where each kind is described, by its name: in one place, unless packages claim the same name."""
    found: dict[str, tuple[EntryPoint, ...]] = {
        name: (EntryPoint(name=name, value=value, group=GROUP),) for name, value in BUILT_IN.items()
    }
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        claims = found.get(entry.name, ())
        if entry.value not in [claim.value for claim in claims]:
            found[entry.name] = (*claims, entry)
    return MappingProxyType(found)


@functools.cache
def find_kind(name: str) -> Kind:
    """Load a kind.

    Raises InputError (E-CFG-017) for a name that two packages claim, unless it is one of ours, and (E-CFG-018) for a
    kind that is not installed, or whose package cannot be loaded.
    """
    claims = known_kinds().get(name, ())
    if not claims:
        raise InputError(
            "E-CFG-018",
            f"kind: got {quoted(name)}, expected one of {', '.join(map(quoted, known_kinds()))}.",
            fix="install the package that provides this kind.",
        )
    if len(claims) > 1 and name not in BUILT_IN:
        raise _claimed_twice(name)
    return _load(claims[0])


def kind_of_model(parts: Path) -> Kind:
    """Load the kind of a registered model, given its folder; raises as `find_kind` does."""
    return find_kind(read_serving_fields(parts)["kind"])


@functools.cache
def all_kinds() -> Mapping[str, Kind]:
    """Every kind that works, by its name; of the others a warning is logged, once in the life of a process."""
    faults = find_faults()
    for fault in faults.values():
        logger.warning("%s", fault)
    return MappingProxyType({name: find_kind(name) for name in known_kinds() if name in BUILT_IN or name not in faults})


def find_faults() -> dict[str, InputError]:
    """What is wrong with installed kinds, by their names; a name of ours is there if a package claims it, too."""
    faults = {}
    for name, claims in known_kinds().items():
        try:
            find_kind(name)
            if len(claims) > 1:
                raise _claimed_twice(name)
        except InputError as error:
            faults[name] = error
    return faults


def _load(entry: EntryPoint) -> Kind:
    try:
        kind = entry.load()
    except Exception as error:  # a package of others may raise anything as it is imported
        raise _broken(entry, f"{type(error).__name__}: {quoted(error)}") from error
    if not isinstance(kind, Kind) or kind.name != entry.name:
        raise _broken(entry, f"it is {quoted(kind)}")
    if _kind_of(kind.recipe) != (kind.name,):
        raise _broken(entry, f'the field kind of its recipe is not Literal["{kind.name}"]')
    return dataclasses.replace(kind, package=f"{entry.dist.name} {entry.dist.version}") if entry.dist else kind


def _kind_of(recipe: type) -> tuple[object, ...]:
    field = getattr(recipe, "model_fields", {}).get("kind")
    return get_args(field.annotation) if field else ()


def _claimed_twice(name: str) -> InputError:
    places = " and ".join(claim.value for claim in known_kinds()[name])
    stays = " Ours stays." if name in BUILT_IN else ""
    return InputError(
        "E-CFG-017",
        f"the kind {quoted(name)} is provided twice, by {places}.{stays}",
        fix="uninstall one of the packages, or rename its kind.",
    )


def _broken(entry: EntryPoint, reason: str) -> InputError:
    return InputError(
        "E-CFG-018",
        f"{entry.value} does not describe the kind {quoted(entry.name)}: {reason}.",
        fix="update or uninstall the package that provides it.",
    )
