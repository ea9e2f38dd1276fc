"""Models and training checkpoints as safetensors and JSON; nothing is ever unpickled.

A checkpoint is one file, `epoch-00003.<SHA-256>.safetensors`: its name holds the digest of its content, which is
checked before any parser sees the bytes. It appears by one rename, so a kill leaves the old ones or the new one.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
from torch import Tensor

from rnnmodels.durable import write_durably
from rnnmodels.training.sequence_model import AnyModel

logger = logging.getLogger(__name__)

Model = TypeVar("Model", bound=AnyModel)

FORMAT = 1
NUM_KEPT = 2


class DamagedCheckpointError(ValueError):
    """No checkpoint in a folder is intact; the damaged files are kept."""


class MismatchedCheckpointError(ValueError):
    """A checkpoint belongs to another configuration, other data or a newer release."""


@dataclass(frozen=True)
class Snapshot:
    """What a checkpoint holds: tensors by name, and JSON values."""

    epoch: int
    tensors: dict[str, Tensor]
    state: dict[str, Any] = field(default_factory=dict)


def save_model(model: AnyModel, folder: Path) -> None:
    """Write `model.safetensors` and `model.json`, enough to rebuild the model."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
    content = safetensors.torch.save(weights)
    description = {
        "format": FORMAT,
        **model.description(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_durably(folder / "model.safetensors", content)
    write_durably(folder / "model.json", json.dumps(description, indent=2).encode())


def load_model(model_class: type[Model], folder: Path, device: str = "cpu") -> Model:
    """Rebuild a saved model in evaluation mode; raises ValueError for weights that are not the saved ones."""
    description = json.loads((folder / "model.json").read_bytes())
    _refuse_newer(description["format"], folder / "model.json")
    content = (folder / "model.safetensors").read_bytes()
    if hashlib.sha256(content).hexdigest() != description["sha256"]:
        raise ValueError(f"{folder / 'model.safetensors'}: its SHA-256 differs from that in model.json")
    model = model_class.from_description(description)
    model.load_state_dict(safetensors.torch.load(content))
    return model.to(device).eval()


def newest_first(folder: Path) -> list[Path]:
    """The checkpoints in a folder."""
    files = folder.glob("epoch-*.safetensors")
    return sorted(files, key=lambda path: (path.name[:11], path.stat().st_mtime_ns), reverse=True)


def read_tracked_as(folder: Path) -> str:
    """Where the interrupted training run in a folder was tracked; empty if no checkpoint tells."""
    for path in newest_first(folder):
        content = path.read_bytes()
        if _is_intact(path, content):
            return json.loads(_metadata(content)["header"]).get("tracked_as", "")
    return ""


class CheckpointFolder:
    """The newest checkpoints of one training run, which `identity` (nested JSON values) tells from others.

    `tracked_as` is stored with each checkpoint, so that whoever continues the run can track it in the same place.
    """

    def __init__(self, path: Path, identity: Mapping[str, object], *, tracked_as: str = "") -> None:
        self.path = path
        self.identity = json.loads(json.dumps(identity))
        self.tracked_as = tracked_as

    def save(self, snapshot: Snapshot) -> None:
        """Commit a snapshot and delete all but the newest two."""
        self.path.mkdir(parents=True, exist_ok=True)
        header = {"format": FORMAT, "identity": self.identity, "epoch": snapshot.epoch, "state": snapshot.state}
        header["tracked_as"] = self.tracked_as
        content = safetensors.torch.save(snapshot.tensors, {"header": json.dumps(header)})
        digest = hashlib.sha256(content).hexdigest()
        write_durably(self.path / f"epoch-{snapshot.epoch:05d}.{digest}.safetensors", content)
        for old in newest_first(self.path)[NUM_KEPT:]:
            old.unlink()
        for unfinished in self.path.glob("*.tmp"):
            unfinished.unlink()

    def load_newest(self) -> Snapshot | None:
        """Return the newest intact snapshot, or None where there never was one.

        Raises DamagedCheckpointError when none is intact, MismatchedCheckpointError for one of another run.
        """
        paths = newest_first(self.path)
        for path in paths:
            content = path.read_bytes()
            if _is_intact(path, content):
                return self._parse(content, path)
            logger.warning("Checkpoint %s is damaged; trying the one before.", path)
        if paths:
            raise DamagedCheckpointError(f"{self.path}: none of {[path.name for path in paths]} is intact")
        return None

    def _parse(self, content: bytes, path: Path) -> Snapshot:
        header = json.loads(_metadata(content)["header"])
        _refuse_newer(header["format"], path)
        differences = _differences(header["identity"], self.identity)
        if differences:
            raise MismatchedCheckpointError(f"{path} is of another run: {'; '.join(differences)}")
        return Snapshot(header["epoch"], safetensors.torch.load(content), header["state"])


def _is_intact(path: Path, content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == path.name.split(".")[1]


def _metadata(content: bytes) -> dict[str, str]:
    """Read the header of a safetensors file: its length in 8 bytes, then JSON."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"]


def _refuse_newer(written_format: int, path: Path) -> None:
    if written_format > FORMAT:
        raise MismatchedCheckpointError(f"{path}: written in format {written_format}, this release reads {FORMAT}")


def _differences(saved: object, present: object, name: str = "") -> list[str]:
    """Name each field in which two nested JSON values differ."""
    if not (isinstance(saved, dict) and isinstance(present, dict)):
        return [] if saved == present else [f"{name} was {saved!r}, is {present!r}"]
    return [
        difference
        for key in sorted(saved.keys() | present.keys())
        for difference in _differences(saved.get(key), present.get(key), f"{name}.{key}" if name else key)
    ]
