"""What a classifier of texts takes over from a champion: its weights, and which of its ids each token and class had."""

import json
import shutil
from pathlib import Path

from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.text.vocabulary import SPECIALS, Vocabulary

UNKNOWN = -1
WEIGHTS = ("model.safetensors", "model.json")


def match_ids(present: list[str], earlier: list[str]) -> list[int]:
    """For each present name its position among the earlier ones, -1 for a new one."""
    position = {name: index for index, name in enumerate(earlier)}
    return [position.get(name, UNKNOWN) for name in present]


def match_tokens(present: Vocabulary, earlier: Vocabulary) -> list[int]:
    """For each id of a vocabulary the id that an earlier one gave its token; specials keep theirs."""
    matched = match_ids(list(present.tokens), list(earlier.tokens))
    return [*range(len(SPECIALS)), *(UNKNOWN if index == UNKNOWN else index + len(SPECIALS) for index in matched)]


def write_initial(folder: Path, *, champion: RegisteredModel, encoded: Artefact) -> Summary:
    """Fill the artefact's folder: the champion's weights, and `ids.json`, which maps new ids to its own."""
    for name in WEIGHTS:
        shutil.copyfile(champion.parts / name, folder / name)
    tokens = match_tokens(
        Vocabulary.load(encoded.file("vocabulary.json")), Vocabulary.load(champion.parts / "vocabulary.json")
    )
    classes = match_ids(
        json.loads(encoded.file("labels.json").read_bytes()),
        json.loads((champion.parts / "labels.json").read_bytes()),
    )
    (folder / "ids.json").write_text(json.dumps({"tokens": tokens, "classes": classes}), encoding="utf-8")
    known = sum(index != UNKNOWN for index in tokens)
    return Summary(rows=len(tokens), known_tokens=known, champion=champion.label)
