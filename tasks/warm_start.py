"""Stage `initial`: the champion's weights, and which of its ids each token and class of new data had.

Vocabularies of different days differ; what a fit starts from is an artefact, so that its key says so.
"""

import json
import shutil
from functools import partial
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from rnnmodels.durable import sha256_of_file
from tasks import registry, store
from tasks.errors import InputError
from tasks.registered_model import RegisteredModel
from tasks.served_parts import SERVING, read_serving_fields
from tasks.store import Artefact
from tasks.text.classifier import KIND
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


def write_initial(folder: Path, *, champion: RegisteredModel, encoded: Artefact) -> dict:
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
    return {"rows": len(tokens), "known_tokens": known, "champion": champion.label}


@task(name="warm_start", cache_policy=NO_CACHE, persist_result=False)
def warm_start(model: str, encoded: Artefact) -> Artefact:
    """Take the weights of a registered model as the start of new fits.

    Raises InputError (E-REG-001) if none is registered and (E-TRN-002) for one that reads no texts: numbers of another
    day have another scale; IntegrityError (E-REG-003) if its files are damaged.
    """
    champion = registry.resolve_model(model)
    if read_serving_fields(champion.parts)["kind"] != KIND:
        raise InputError(
            "E-TRN-002",
            f"{champion.label} cannot be started from, as its numbers were scaled by rows of another day.",
            fix="train without --warm-start.",
        )
    write = partial(write_initial, champion=champion, encoded=encoded)
    serving = sha256_of_file(champion.parts / SERVING)
    inputs = {"champion": serving, "encoded": encoded}
    return store.build("initial", write, module=__name__, config={}, inputs=inputs)
