"""What a language model cannot be made of."""

from types import SimpleNamespace

import pytest

from rnnmodels.language.language_config import LanguageTraining
from tasks.errors import InputError
from tasks.kinds.language.fit import LanguageCandidate, create_model
from tasks.kinds.language.summaries import StreamSummary


def test_a_sampled_softmax_needs_ids_in_the_order_of_frequency() -> None:
    sizes = {"rows": 1, "vocabulary_size": 300, "num_targets": {}, "num_chars": {}}
    streams = {name: StreamSummary(tokenizer=name, **sizes) for name in ("word", "subword")}
    shards = {name: SimpleNamespace(summary=one.as_json(), reference="shard/1") for name, one in streams.items()}
    candidate = LanguageCandidate(name="lstm", training=LanguageTraining(sampled_tokens=20))
    assert create_model(candidate, {}, shards["word"]).vocabulary_size == 300
    with pytest.raises(InputError, match="E-CFG-032 candidate"):
        create_model(candidate, {}, shards["subword"])
    whole = candidate.model_copy(update={"training": LanguageTraining()})
    assert create_model(whole, {}, shards["subword"]).vocabulary_size == 300
