"""A champion for `serving` to be asked: made and registered in a process that ends before the clock starts.

A driver asks for it with `HOME TEXTS`: a project folder, and a CSV file of texts that gives the vocabulary.
"""

import json
import os
import sys
from pathlib import Path

from benchmarks import measure

NAME, CELL = "bench", "gru"


def register_champion(home: Path, texts: Path) -> Path:
    """Register a model with random weights as champion; returns the folder that MLflow loads."""
    os.environ["RNNFLOW_HOME"] = str(home)
    from tasks.kinds.classify.recipe import CLASSIFY
    from tasks.kinds.classify.register import REGISTRATION
    from tasks.registry import registered_model
    from tasks.registry.identity import CHAMPION
    from tasks.registry.packaging import Packaging
    from tasks.tracking import mlflow_client
    from tasks.tracking.runs import RunContext, open_run

    folder = write_classifier(home / "classifier", texts)
    run_id = open_run(RunContext(recipe=NAME, flow_run_id=NAME))
    model = registered_model.log_version(
        NAME,
        folder,
        Packaging(model_type="classifier", input_example=list(REGISTRATION.texts)),
        module=CLASSIFY.served_model,
        run_id=run_id,
        fit_run_id=run_id,
        tags={},
        description="",
    )
    mlflow_client.connect().set_registered_model_alias(NAME, CHAMPION, model.version)
    return model.folder


def write_classifier(folder: Path, texts: Path) -> Path:
    """Write a classifier's folder as the stage `register` does."""
    from benchmarks.prediction_contenders import build_classifier
    from rnnmodels.training.checkpoint import save_model
    from tasks.contract.profile import Profile, write_profile

    classifier = build_classifier(texts, CELL)
    save_model(classifier.model, folder)
    classifier.vocabulary.save(folder / "vocabulary.json")
    (folder / "labels.json").write_text(json.dumps(classifier.labels))
    classifier.complete(folder, classifier.serving)
    write_profile(folder, Profile.empty())
    return folder


def main() -> None:
    """Do what a driver asks."""
    home, texts = map(Path, sys.argv[1:])
    with measure.answering() as out:
        measure.answer({"folder": str(register_champion(home, texts))}, out)


if __name__ == "__main__":
    main()
