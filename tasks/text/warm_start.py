"""What a classifier of texts takes over from a champion: its weights, and which of its ids each token and class had."""

import json
from collections.abc import Sequence
from pathlib import Path

from tasks.contract.initial import UNKNOWN, match_names, refuse_start, store_initial
from tasks.labelled.summaries import EncodedSummary
from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.text.vocabulary import SPECIALS, Vocabulary


def match_tokens(present: Vocabulary, earlier: Vocabulary) -> list[int]:
    """For each id of a vocabulary the id that an earlier one gave its token; specials keep theirs."""
    matched = match_names(present.tokens, earlier.tokens)
    return [*range(len(SPECIALS)), *(UNKNOWN if index == UNKNOWN else index + len(SPECIALS) for index in matched)]


def match_tokens_of(champion: RegisteredModel, encoded: Artefact) -> list[int]:
    """For each id of the new vocabulary the id that the champion gave its token.

    Raises InputError (E-TRN-002) if the champion cuts texts into tokens of another sort, or knows none of them.
    """
    earlier = Vocabulary.load(champion.parts / "vocabulary.json")
    present = Vocabulary.load(encoded.file("vocabulary.json"))
    if earlier.tokenizer != present.tokenizer:
        raise refuse_start(
            champion,
            f'its tokens were made by the tokenizer "{earlier.tokenizer}", and these by "{present.tokenizer}"',
            f'set encode.tokenizer = "{earlier.tokenizer}"',
        )
    tokens = match_tokens(present, earlier)
    if count_known(tokens) == 0:
        raise refuse_start(champion, "it knows no token of the new texts", "check the text columns and the language")
    return tokens


def count_known(token_ids: Sequence[int]) -> int:
    """How many tokens have an id in the earlier vocabulary, specials aside."""
    return sum(index != UNKNOWN for index in token_ids[len(SPECIALS) :])


def write_initial(folder: Path, *, champion: RegisteredModel, encoded: Artefact) -> Summary:
    """Store the champion's weights, and for each token and class its id in the champion.

    Raises InputError (E-TRN-002) if the champion knows nothing of the new vocabulary.
    """
    tokens = match_tokens_of(champion, encoded)
    labels = json.loads((champion.parts / "labels.json").read_bytes())
    matched = {"tokens": tokens, "classes": match_names(EncodedSummary.of(encoded).labels, labels)}
    return store_initial(folder, champion, matched, known_tokens=len(SPECIALS) + count_known(tokens))
