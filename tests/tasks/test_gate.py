"""The gate decides once, says why, and leaves its word where people look."""

import dataclasses
import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.contract.registration import RegistrySettings
from tasks.errors import IntegrityError, ServiceError
from tasks.gate import gate
from tasks.kinds.classify.classifier import TextClassifier
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.labelled import scoring
from tasks.labelled.promotion import PromotionSettings
from tasks.promotion import aliases, ledger, named_models, overrides
from tasks.promotion.identities import roles_of
from tasks.promotion.verdicts import count_decisions
from tasks.register import register
from tasks.registry import registrations
from tasks.store import artefacts
from tasks.store.manifest import Summary
from tasks.tracking import mlflow_client
from tasks.tracking.runs import RunContext
from tests.processes import Forker

ROOT = Path(__file__).parents[2]
RUN = RunContext(recipe="reviews", flow_run_id="flow-2")
SETTINGS = PromotionSettings(min_slice_rows=5, resamples=1000)


@pytest.fixture
def challenge(rivals, reviews):
    """Calls the gate with the second version; settings and trigger may be given."""

    def call(settings=SETTINGS, trigger=""):
        return gate.fn(CLASSIFY, RUN, reviews[0], rivals["2"], settings, trigger=trigger)

    return call


def set_hits(patch, hits_of):
    """Replace the scores of versions by the given numbers of right answers, the first rows of the holdout."""

    def score(model, holdout, _labeller):
        hits = np.arange(holdout.rows) < hits_of[model.version]
        losses = np.where(hits, 0.1, 2.0)
        return scoring.Scores(version=model.version, hits=hits, losses=losses, undefined=0, labels=("neg", "pos"))

    patch.setattr("tasks.labelled.gate.build_scores", score)


def test_the_first_model_becomes_champion_and_anchors_later_ones(registered_home, reviews, monkeypatch):
    monkeypatch.setenv("RNNFLOW_HOME", str(registered_home))
    [entry] = ledger.read_entries("reviews")

    accuracy = reviews[1].best.metrics["test/accuracy"]
    assert (entry.action, entry.champion, entry.previous, entry.number) == ("first", "1", "", 1)
    assert (
        entry.reason == f"first: becomes champion; {100 * accuracy:.2f} % on 40 rows is the reference for later models."
    )
    assert entry.verdict["figures"]["anchor"]["accuracy"] == accuracy
    assert (entry.splits, entry.flow_run) == (reviews[0].splits.reference, "flow-1")
    assert registrations.read_aliases("reviews") == {"champion": "1"}


def test_an_equal_challenger_is_kept_out_and_told_why(challenge, monkeypatch):
    set_hits(monkeypatch, {"1": 30, "2": 31})

    verdict = challenge().summary

    assert (verdict["verdict"], verdict["alias"], verdict["champion"], verdict["challenger"]) == (
        "kept",
        "challenger",
        "1",
        "2",
    )
    assert verdict["reasons"] == [
        "kept: 77.50 % against 75.00 % of champion v1 on 40 rows; 1 row won, 0 lost; "
        "p = 0.5 > alpha 0.05 (decision 1 on these rows)."
    ]
    assert (verdict["alpha"], verdict["decisions"], verdict["entry"]) == (0.05, 1, 2)
    assert registrations.read_aliases("reviews") == {"champion": "1", "challenger": "2"}


def test_a_better_challenger_takes_over(challenge, monkeypatch):
    set_hits(monkeypatch, {"1": 20, "2": 32})

    verdict = challenge().summary

    assert (verdict["verdict"], verdict["alias"], verdict["champion"]) == ("promoted", "champion", "2")
    assert verdict["reasons"] == [
        "promoted: 80.00 % against 50.00 % of champion v1 on 40 rows; 12 rows won, 0 lost; "
        "p = 0.00024 <= alpha 0.05 (decision 1 on these rows)."
    ]
    assert registrations.read_aliases("reviews") == {"champion": "2", "previous": "1"}


def test_real_models_are_scored_by_their_registered_files(challenge, reviews):
    figures = challenge().summary["figures"]

    accuracies = {scored.name: scored.metrics["test/accuracy"] for scored in reviews[1].candidates}
    assert figures["champion"]["accuracy"] == accuracies.pop(reviews[1].best.name)
    assert figures["challenger"]["accuracy"] == accuracies.popitem()[1]
    assert figures["rows"] == 40
    assert sum(one["rows"] for one in figures["slices"] if one["by"] == "label") == 40


def test_the_same_decision_is_made_once(challenge):
    decided = challenge()

    repeated = challenge(PromotionSettings(alpha=0.5))

    assert (repeated.key, repeated.cached) == (decided.key, True)
    assert len(ledger.read_entries("reviews")) == 2
    assert count_decisions(ledger.read_entries("reviews"), decided.summary["holdout"]) == 1


def test_a_champion_that_comes_again_shows_what_was_said_of_it_and_wears_nothing(rivals, reviews):
    verdict = gate.fn(CLASSIFY, RUN, reviews[0], rivals["1"], SETTINGS).summary

    [entry] = ledger.read_entries("reviews")
    assert (verdict["verdict"], verdict["alias"], verdict["entry"], verdict["decisions"]) == (
        "first",
        "champion",
        1,
        0,
    )
    assert verdict["reasons"] == [entry.reason]
    run = mlflow_client.connect().get_run(rivals["1"].summary["mlflow_run"])
    assert run.data.tags["rnnflow.verdict"] == "first"


def test_a_champion_that_comes_from_another_run_is_current(rivals, reviews):
    registration = {**rivals["1"].summary, "mlflow_run": rivals["2"].summary["mlflow_run"]}

    def write(folder):
        (folder / "registration.json").write_text(json.dumps(registration))
        return Summary.model_validate(registration)

    again = artefacts.build("register", write, module="tasks.store.artefacts", config={})

    verdict = gate.fn(CLASSIFY, RUN, reviews[0], again, SETTINGS).summary

    [entry] = ledger.read_entries("reviews")
    assert (verdict["verdict"], verdict["alias"], verdict["decisions"]) == ("current", "champion", 0)
    assert verdict["reasons"] == [f"current: v1 is already the champion, since {entry.created[:10]} (entry 1: first)."]
    run = mlflow_client.connect().get_run(registration["mlflow_run"])
    assert run.data.tags["rnnflow.verdict"] == "current"


def test_a_new_trigger_is_noted_once(challenge):
    challenge(trigger="monday")
    challenge(trigger="monday")
    challenge(trigger="tuesday")
    challenge(trigger="tuesday")

    entries = ledger.read_entries("reviews")
    assert [(entry.action, entry.trigger) for entry in entries[1:]] == [("kept", "monday"), ("noted", "tuesday")]
    assert count_decisions(entries, entries[0].holdout) == 1


def test_the_verdict_is_shown_at_the_run_and_at_the_version(challenge, rivals):
    gated = challenge()

    client, run_id = mlflow_client.connect(), rivals["2"].summary["mlflow_run"]
    run, version = client.get_run(run_id), client.get_model_version("reviews", "2")
    assert run.data.tags["rnnflow.verdict"] == version.tags["rnnflow.verdict"] == gated.summary["verdict"]
    assert run.data.tags["rnnflow.verdict_reason"] == gated.summary["reasons"][0]
    assert "verdict.json" in {file.path for file in client.list_artifacts(run_id)}
    assert json.loads(gated.file("verdict.json").read_bytes())["entry"] == 2


def test_alpha_shrinks_with_every_decision_on_the_same_rows(challenge, monkeypatch):
    set_hits(monkeypatch, {"1": 20, "2": 20})
    [first] = ledger.read_entries("reviews")
    for number in range(2, 5):
        earlier = {"action": "kept", "challenger": str(number + 10), "reason": "earlier", "actor": "gate"}
        rows = {"holdout": first.holdout, "splits": first.splits, "verdict": first.verdict}
        who = {"champion": "1", "champion_content": first.champion_content}
        ledger.append(ledger.Draft(model="reviews", **who, **earlier, **rows), expected=number - 1)

    verdict = challenge(PromotionSettings(max_decisions=3)).summary

    assert (verdict["decisions"], verdict["alpha"]) == (4, 0.0125)
    assert verdict["reasons"][0].endswith("p = 1 > alpha 0.013 (decision 4 on these rows).")
    assert verdict["reasons"][1] == (
        "These test rows have been used for 4 decisions (limit 3). "
        "Collect new ones, train on a split with them, and accept the first model by hand."
    )


def test_other_test_rows_are_refused_until_a_person_accepts_them(rivals, reviews):
    other = artefacts.build("split", write_other_rows, module="tasks.store.artefacts", config={"seed": 8})
    lineage = dataclasses.replace(reviews[0], splits=other)

    verdict = gate.fn(CLASSIFY, RUN, lineage, rivals["2"], SETTINGS).summary

    old = reviews[0].splits.reference
    assert (verdict["verdict"], verdict["alias"], verdict["figures"]) == ("refused", "challenger", {})
    assert verdict["reasons"] == [
        f"refused: champion v1 was chosen on the test rows of {old} and may have been trained on some of the "
        f"20 test rows of {other.reference}.",
        f"Fix: train with the test rows of {old}, or take the new ones over together with this version: "
        "rnnflow promote reviews/2 --reason TEXT",
    ]
    assert (ledger.head("reviews").splits, ledger.head("reviews").action) == (old, "refused")
    gate.fn(CLASSIFY, RUN, lineage, rivals["2"], SETTINGS)
    assert len(ledger.read_entries("reviews")) == 2
    assert overrides.promote("reviews/2", reason="new rows").splits == other.reference


def correct_labels(splits, origin):
    """A split that holds the test rows of another, of which the source has corrected the first one's label."""
    rows = pl.read_parquet(splits.file("test.parquet"))
    swapped = pl.col("label").replace({"neg": "pos", "pos": "neg"})
    changed = rows.with_columns(label=pl.when(pl.int_range(pl.len()) == 0).then(swapped).otherwise("label"))
    counts = {"other_label": {"test": 1, "valid": 0}, "left": {}, "returned": {}, "new_labels": [], "renamed": {}}

    def write(folder):
        changed.write_parquet(folder / "test.parquet")
        held = {"origin": origin, "held": changed.height, **counts}
        return Summary.model_validate({"rows": changed.height, "splits": {}, "labels": ["neg", "pos"], "held": held})

    return artefacts.build(
        "split", write, module="tasks.store.artefacts", config={"corrected": splits.reference, "origin": origin}
    )


def test_corrected_test_rows_are_compared_on_and_their_decisions_go_on(
    challenge, rivals, reviews, project, monkeypatch
):
    old = reviews[0].splits
    shutil.copytree(old.path, project / "data" / old.reference)
    set_hits(monkeypatch, {"1": 30, "2": 31})
    challenge()
    corrected = dataclasses.replace(reviews[0], splits=correct_labels(old, old.reference))

    verdict = gate.fn(CLASSIFY, RUN, corrected, rivals["2"], SETTINGS).summary

    assert (verdict["verdict"], verdict["decisions"], verdict["alpha"]) == ("kept", 2, 0.025)
    assert verdict["reasons"][1] == (
        "The test rows changed with the source (rows with another label: 1): both models were scored again."
    )
    assert ledger.head("reviews").splits == corrected.splits.reference
    assert ledger.head("reviews").holdout != ledger.read_entries("reviews")[0].holdout


def test_rows_that_follow_lost_ones_are_refused(rivals, reviews):
    corrected = dataclasses.replace(reviews[0], splits=correct_labels(reviews[0].splits, "split/" + "0" * 24))

    assert gate.fn(CLASSIFY, RUN, corrected, rivals["2"], SETTINGS).summary["verdict"] == "refused"


def test_a_champion_of_another_kind_is_not_compared(challenge, rivals):
    (mlflow_client.mlruns() / "ledger.db").unlink()
    parts = named_models.resolve_model("reviews/1").parts
    serving = json.loads((parts / "serving.json").read_bytes())
    (parts / "serving.json").write_text(json.dumps({**serving, "kind": "forecast"}))

    reasons = challenge().summary["reasons"]

    assert reasons[0].startswith("refused: ")


def test_a_champion_without_its_files_is_not_compared(challenge, rivals):
    shutil.rmtree(named_models.resolve_model("reviews/1").folder)

    verdict = challenge().summary

    assert (verdict["verdict"], verdict["champion"]) == ("refused", "1")
    assert verdict["reasons"][0].startswith("refused: v1 cannot be scored: E-REG-003 ")
    assert verdict["reasons"][1] == (
        "Fix: restore `mlruns/`; or return to the last champion whose files are intact: rnnflow rollback reviews "
        "--reason TEXT; "
        "or accept this version: rnnflow promote reviews/2 --reason TEXT"
    )


def test_another_model_under_the_champions_number_is_neither_current_nor_judged_by_old_entries(rivals, reviews):
    gate.fn(CLASSIFY, RUN, reviews[0], rivals["2"], SETTINGS)
    mlflow_client.connect().delete_registered_model("reviews")
    again = RunContext(recipe="reviews", flow_run_id="flow-3")
    lineage, contest = reviews
    others = tuple(scored for scored in contest.candidates if scored is not contest.best)
    rival = dataclasses.replace(contest, candidates=others)
    registered = register.fn(CLASSIFY, again, lineage, rival, RegistrySettings(certificate_rows=8))
    assert (registered.summary["version"], registered.summary["content"]) == ("1", rivals["2"].summary["content"])

    verdict = gate.fn(CLASSIFY, again, lineage, registered, SETTINGS).summary

    [first, *_] = ledger.read_entries("reviews")
    assert (verdict["verdict"], verdict["alias"], verdict["entry"]) == ("refused", "challenger", 3)
    assert verdict["reasons"] == [
        f"refused: champion reviews/1 (entry 1, content {first.champion_content[:12]}) is no longer registered: "
        "version 1 is another model now.",
        "Fix: restore MLflow's store; or accept another version: rnnflow promote reviews/1 --reason TEXT.",
    ]
    with pytest.raises(IntegrityError, match=r"E-REG-007 champion reviews/1 .* version 1 is another model now"):
        named_models.resolve_model("reviews")
    assert registrations.read_aliases("reviews") == {"challenger": "1"}
    assert overrides.promote("reviews/1", reason="the old one is gone").champion_content != first.champion_content
    assert named_models.resolve_model("reviews").content == registered.summary["content"]


def test_a_champion_that_is_registered_again_is_current_under_its_new_number(rivals, reviews):
    mlflow_client.connect().delete_model_version("reviews", "1")
    again = RunContext(recipe="reviews", flow_run_id="flow-3")
    registered = register.fn(CLASSIFY, again, *reviews, RegistrySettings(certificate_rows=8))

    verdict = gate.fn(CLASSIFY, again, reviews[0], registered, SETTINGS).summary

    assert (registered.summary["version"], verdict["verdict"], verdict["champion"]) == ("3", "current", "3")
    assert verdict["reasons"][0].startswith("current: v3 is the same model as the champion v1, since ")
    assert ledger.head("reviews").action == "renumbered"
    assert registrations.read_aliases("reviews") == {"champion": "3"}
    assert named_models.resolve_model("reviews").version == "3"


def test_where_another_ledger_decides_this_one_does_not(rivals, reviews, monkeypatch, tmp_path):
    monkeypatch.setenv("RNNFLOW_LEDGER_URL", f"sqlite:///{tmp_path}/other.db")

    with pytest.raises(ServiceError, match='E-LED-004 the champion of model "reviews" is decided by another ledger'):
        gate.fn(CLASSIFY, RUN, reviews[0], rivals["2"], SETTINGS)

    assert ledger.read_entries("reviews") == []
    assert registrations.read_aliases("reviews") == {"champion": "1"}


def test_undefined_answers_are_refused(challenge, monkeypatch):
    predict = TextClassifier.predict_logits

    def undefined(classifier, texts):
        logits = predict(classifier, texts)
        logits[:3] = np.nan
        return logits

    monkeypatch.setattr(TextClassifier, "predict_logits", undefined)

    assert challenge().summary["reasons"][0] == "refused: v2 gives no defined answer to 3 of 40 rows."


def test_a_version_taken_back_by_a_person_does_not_return_by_itself(challenge, monkeypatch):
    set_hits(monkeypatch, {"1": 20, "2": 32})
    challenge()
    rollback = overrides.roll_back("reviews", reason="rude to customers")

    verdict = challenge().summary

    assert (verdict["verdict"], verdict["champion"], verdict["entry"]) == ("kept", "1", 3)
    assert verdict["reasons"] == [
        f"kept: v2 was rolled back on {rollback.created[:10]} by {rollback.actor} (entry 3: rude to customers), "
        "so it is not promoted automatically.",
        "Fix: to accept it anyway: rnnflow promote reviews/2 --reason TEXT",
    ]


def test_a_champion_older_than_the_ledger_is_adopted_and_compared(challenge):
    (mlflow_client.mlruns() / "ledger.db").unlink()

    verdict = challenge().summary

    actions = [entry.action for entry in ledger.read_entries("reviews")]
    assert actions == ["adopt", verdict["verdict"]]
    assert verdict["figures"]["anchor"]["version"] == "1"


def test_a_loser_of_a_race_judges_again(challenge, monkeypatch):
    append, expected_numbers = ledger.append, []

    def overtaken(draft, *, expected):
        if not expected_numbers:
            rival = ledger.Draft(model="reviews", action="promote", champion="1", reason="faster", actor="eve")
            append(rival, expected=expected)
        expected_numbers.append(expected)
        return append(draft, expected=expected)

    monkeypatch.setattr(ledger, "append", overtaken)

    assert challenge().summary["entry"] == 3
    assert expected_numbers == [1, 2]


GATE = """
import os, signal, sys
from tasks.store import artefacts
from tasks.contract.lineage import Lineage
from tasks.gate import gate
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.promotion import aliases
from tasks.labelled.promotion import PromotionSettings
from tasks.tracking.runs import RunContext
if sys.argv[3:] == ["killed"]:
    aliases.project = lambda model, anew: os.kill(os.getpid(), signal.SIGKILL)
registered, splits = map(artefacts.open_artefact, sys.argv[1:3])
lineage = Lineage(rows=splits, splits=splits, encoded=splits, shards=splits)
run = RunContext(recipe="reviews", flow_run_id="flow-2")
gated = gate.fn(CLASSIFY, run, lineage, registered, PromotionSettings())
print(gated.summary["verdict"], sorted({"torch", "mlflow", "scipy"} & set(sys.modules)))
"""


def run_gate(forker: Forker, registered, splits, *arguments):
    """Call the gate in a process of its own."""
    if not (artefacts.home() / "data" / splits.reference).exists():
        shutil.copytree(splits.path, artefacts.home() / "data" / splits.reference)
    return forker.run(GATE, registered.reference, splits.reference, *arguments, cwd=ROOT)


def test_a_kill_between_the_ledger_and_the_aliases_is_healed(rivals, reviews, heavy_process):
    assert run_gate(heavy_process, rivals["2"], reviews[0].splits, "killed").returncode == -9
    entry = ledger.head("reviews")
    assert (entry.number, entry.challenger) == (2, "2")
    assert registrations.read_aliases("reviews") == {"champion": "1"}

    [finding] = aliases.reconcile()

    assert finding.sentence == f"reviews: the aliases were not written for entry 2 ({entry.action}); now they are."
    assert registrations.read_aliases("reviews") == {role: who.version for role, who in roles_of(entry).items()}
    again = gate.fn(CLASSIFY, RUN, reviews[0], rivals["2"], PromotionSettings())
    assert (again.summary["entry"], again.summary["verdict"]) == (2, entry.action)


def test_a_known_verdict_needs_neither_torch_nor_mlflow(challenge, rivals, reviews, fresh_process):
    challenge()

    shown = {version: run_gate(fresh_process, rivals[version], reviews[0].splits).stdout.strip() for version in "12"}

    assert shown == {"1": "first []", "2": "kept []"}


def test_a_dead_server_leaves_no_decision(rivals, reviews, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")

    with pytest.raises(ServiceError, match="E-SVC-004"):
        gate.fn(CLASSIFY, RUN, reviews[0], rivals["2"], SETTINGS)

    assert ledger.read_entries("reviews") == []


def test_a_damaged_ledger_stops_the_gate(challenge):
    with sqlite3.connect(mlflow_client.mlruns() / "ledger.db") as database:
        database.execute("DROP TRIGGER promotions_refuse_update")
        database.execute("UPDATE promotions SET champion = '2'")

    with pytest.raises(IntegrityError, match=r'E-LED-002 .*entry 1 of model "reviews"'):
        challenge()


def write_other_rows(folder: Path) -> dict:
    rows = pl.DataFrame({"row": range(20), "text": [f"text {i}" for i in range(20)], "label": ["neg", "pos"] * 10})
    rows.write_parquet(folder / "test.parquet")
    return Summary.model_validate({"rows": 20, "splits": {"test": 20}, "labels": ["neg", "pos"]})
