"""The artefacts that a report tells about."""

import json
from dataclasses import dataclass
from typing import Any

from tasks.contract.contest import Contest
from tasks.contract.lineage import Lineage
from tasks.store.artefacts import Artefact


@dataclass(frozen=True, kw_only=True)
class ReportContents:
    """The artefacts of one run."""

    recipe_name: str
    lineage: Lineage
    contest: Contest[Any]
    registered: Artefact
    gated: Artefact

    def by_name(self) -> dict[str, Artefact]:
        """Every artefact under a name of its own, in the order of the run."""
        return {**self.lineage.by_name(), **self.contest.inputs(), "registered": self.registered, "gated": self.gated}


def read_json(artefact: Artefact, name: str) -> dict[str, Any]:
    """Read one JSON file of an artefact."""
    return json.loads(artefact.file(name).read_bytes())
