"""The list of kinds: ours, and those that installed packages bring by the entry point `rnnflow.kinds`.

A kind is loaded when it is asked for, so that a prediction imports no other kind's settings.
"""

import functools
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType

from tasks.contract.kind import Kind
from tasks.errors import InputError, quoted
from tasks.registry.served_parts import read_serving_fields

GROUP = "rnnflow.kinds"
# Where each kind is described, in the order in which forms and pages show them.
BUILT_IN = {
    "classify": "tasks.kinds.classify.recipe:CLASSIFY",
    "classify-series": "tasks.kinds.classify_series.recipe:CLASSIFY_SERIES",
    "forecast": "tasks.kinds.forecast.recipe:FORECAST",
    "detect": "tasks.kinds.detect.recipe:DETECT",
}
# Of a recipe that names none.
DEFAULT = "classify"


@functools.cache
def known_kinds() -> Mapping[str, EntryPoint]:
    """Where each kind is described, by its name.

    Raises InputError (E-CFG-017) if two packages bring a kind of one name.
    """
    found = {name: EntryPoint(name=name, value=value, group=GROUP) for name, value in BUILT_IN.items()}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if found.setdefault(entry.name, entry).value != entry.value:
            raise InputError(
                "E-CFG-017",
                f"the kind {quoted(entry.name)} is brought twice, by {found[entry.name].value} and {entry.value}.",
                fix="uninstall one of the packages, or rename its kind.",
            )
    return MappingProxyType(found)


@functools.cache
def find_kind(name: str) -> Kind:
    """Load a kind.

    Raises InputError (E-CFG-018) for one that is not installed, or whose package cannot be loaded.
    """
    entry = known_kinds().get(name)
    if entry is None:
        raise InputError(
            "E-CFG-018",
            f"kind: got {quoted(name)}, expected one of {', '.join(map(quoted, known_kinds()))}.",
            fix="install the package that brings this kind.",
        )
    try:
        kind = entry.load()
    except (ImportError, AttributeError) as error:
        raise _broken(entry, quoted(error)) from error
    if not isinstance(kind, Kind) or kind.name != name:
        raise _broken(entry, f"it is {quoted(kind)}")
    return kind


def kind_of_model(parts: Path) -> Kind:
    """Load the kind of a registered model, given its folder; raises as `find_kind` does."""
    return find_kind(read_serving_fields(parts)["kind"])


def all_kinds() -> dict[str, Kind]:
    """Every kind by its name."""
    return {name: find_kind(name) for name in known_kinds()}


def _broken(entry: EntryPoint, reason: str) -> InputError:
    return InputError(
        "E-CFG-018",
        f"{entry.value} does not describe the kind {quoted(entry.name)}: {reason}.",
        fix="update or uninstall the package that brings it.",
    )
