"""The artefacts that the models of a flow run were fitted on."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from tasks.store.artefacts import Artefact


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Checked rows, their division, their numbers, and how these lie on disk."""

    rows: Artefact
    splits: Artefact
    encoded: Artefact
    shards: Artefact

    @property
    def source_digest(self) -> str:
        """SHA-256 over the source's files, as `ingest` found them."""
        return self.rows.manifest["inputs"]["files"]

    def by_name(self) -> dict[str, Artefact]:
        """The artefacts under their names."""
        return self.pick(field.name for field in dataclasses.fields(self))

    def pick(self, names: Iterable[str]) -> dict[str, Artefact]:
        """Some of the artefacts under their names."""
        return {name: getattr(self, name) for name in names}
