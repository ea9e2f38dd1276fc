"""What every kind takes over from a champion: its weights, and which of them belongs to what in new data."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.contract.summaries import InitialSummary
from tasks.errors import InputError, quoted
from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary

UNKNOWN = -1
WEIGHTS = ("model.safetensors", "model.json")
MATCHED = "matched.json"


def match_names(present: Sequence[str], earlier: Sequence[str]) -> list[int]:
    """For each present name its position among the earlier ones, -1 for a new one."""
    position = {name: index for index, name in enumerate(earlier)}
    return [position.get(name, UNKNOWN) for name in present]


def match_channels(champion: RegisteredModel, present: Sequence[str], earlier: Sequence[str]) -> list[int]:
    """Match channels by name.

    Raises InputError (E-TRN-002) if the two have none in common.
    """
    matched = match_names(present, earlier)
    if all(index == UNKNOWN for index in matched):
        names = ", ".join(map(quoted, earlier))
        raise refuse_start(
            champion,
            f"it knows none of the channels {', '.join(map(quoted, present))}, but {names}",
            "name them as then",
        )
    return matched


def refuse_start(champion: RegisteredModel, reason: str, remedy: str) -> InputError:
    """The error of new data that a champion's weights say nothing about (E-TRN-002)."""
    problem = f"{champion.label} cannot be started from: {reason}."
    return InputError("E-TRN-002", problem, fix=f"{remedy}, or train without --warm-start.")


def store_initial(folder: Path, champion: RegisteredModel, matched: dict[str, Any], **facts: Any) -> Summary:  # noqa: ANN401 (JSON values)
    """Fill the artefact's folder: the champion's weights, and what corresponds to what; returns its summary."""
    for name in WEIGHTS:
        shutil.copyfile(champion.parts / name, folder / name)
    (folder / MATCHED).write_text(json.dumps(matched), encoding="utf-8")
    start = f"the champion, {champion.label}"
    return InitialSummary(rows=sum(map(len, matched.values())), start=start, champion=champion.label, **facts)


def open_initial(initial: Artefact) -> tuple[Path, dict[str, Any]]:
    """The checked folder of the champion's weights, and what corresponds to what."""
    weights, _ = (initial.file(name) for name in WEIGHTS)
    return weights.parent, json.loads(initial.file(MATCHED).read_bytes())


def describe_start(difference: str) -> str:
    """Say how a fit starts, given why the champion's weights do not fit its network, if they do not."""
    return f"starts afresh, as the champion has {difference}" if difference else "starts from the champion's weights"
