"""What a language model takes over from a champion: its weights, and which of its ids each token had."""

from pathlib import Path

from tasks.contract.initial import store_initial
from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tasks.text.vocabulary import SPECIALS
from tasks.text.warm_start import count_known, match_tokens_of


def write_initial(folder: Path, *, champion: RegisteredModel, encoded: Artefact) -> Summary:
    """Store the champion's weights, and for each token its id in the champion.

    Raises InputError (E-TRN-002) if the champion knows nothing of the new vocabulary.
    """
    tokens = match_tokens_of(champion, encoded)
    return store_initial(folder, champion, {"tokens": tokens}, known_tokens=len(SPECIALS) + count_known(tokens))
