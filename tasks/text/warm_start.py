"""What a classifier of texts takes over from a champion: its weights, and which of its ids each token and class had."""

import json
from pathlib import Path

from tasks.contract.initial import UNKNOWN, match_names, store_initial
from tasks.labelled.summaries import EncodedSummary
from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.text.vocabulary import SPECIALS, Vocabulary


def match_tokens(present: Vocabulary, earlier: Vocabulary) -> list[int]:
    """For each id of a vocabulary the id that an earlier one gave its token; specials keep theirs."""
    matched = match_names(present.tokens, earlier.tokens)
    return [*range(len(SPECIALS)), *(UNKNOWN if index == UNKNOWN else index + len(SPECIALS) for index in matched)]


def write_initial(folder: Path, *, champion: RegisteredModel, encoded: Artefact) -> Summary:
    """Store the champion's weights, and for each token and class its id in the champion."""
    tokens = match_tokens(
        Vocabulary.load(encoded.file("vocabulary.json")), Vocabulary.load(champion.parts / "vocabulary.json")
    )
    labels = json.loads((champion.parts / "labels.json").read_bytes())
    matched = {"tokens": tokens, "classes": match_names(EncodedSummary.of(encoded).labels, labels)}
    known = sum(index != UNKNOWN for index in tokens)
    return store_initial(folder, champion, matched, known_tokens=known)
