"""What a language model takes over from a champion: its weights, and which of its ids each token had."""

from pathlib import Path

from tasks.contract.initial import UNKNOWN, refuse_start, store_initial
from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.text.vocabulary import SPECIALS, Vocabulary
from tasks.text.warm_start import match_tokens


def write_initial(folder: Path, *, champion: RegisteredModel, encoded: Artefact) -> Summary:
    """Store the champion's weights, and for each token its id in the champion.

    Raises InputError (E-TRN-002) if the champion knows no token of the new vocabulary.
    """
    earlier = Vocabulary.load(champion.parts / "vocabulary.json")
    present = Vocabulary.load(encoded.file("vocabulary.json"))
    tokens = match_tokens(present, earlier)
    known = sum(index != UNKNOWN for index in tokens)
    if known == len(SPECIALS):
        raise refuse_start(
            champion,
            f"none of its tokens, made by the tokenizer {earlier.tokenizer}, is in the new vocabulary",
            f'set encode.tokenizer = "{earlier.tokenizer}"',
        )
    return store_initial(folder, champion, {"tokens": tokens}, known_tokens=known)
