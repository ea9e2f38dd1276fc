"""MLflow's aliases follow the ledger, whoever moved them and whatever was killed."""

import copy
import logging
import shutil

import pytest

from tasks.errors import IntegrityError, ServiceError
from tasks.promotion import aliases, ledger
from tasks.promotion.aliases import project, reconcile
from tasks.promotion.ledger import Draft
from tasks.tracking import mlflow_client


def draft(action, **versions):
    contents = {f"{role}_content": f"content-{version}" for role, version in versions.items()}
    return Draft(model="reviews", action=action, reason="r", actor="kim", **versions, **contents)


def test_aliases_follow_the_last_entry(registry, crown):
    crown("1")
    assert registry.aliases["reviews"] == {"champion": "1"}
    crown("2")
    assert registry.aliases["reviews"] == {"champion": "2", "previous": "1"}


def test_a_challenger_that_was_kept_out_has_an_alias(registry, crown):
    crown("1")
    registry.add("reviews", "2")
    ledger.append(draft("kept", champion="1", challenger="2"), expected=1)

    project("reviews")

    assert registry.aliases["reviews"] == {"champion": "1", "challenger": "2"}


def test_aliases_that_were_written_are_not_written_again(registry, crown, monkeypatch):
    crown("1")
    monkeypatch.setattr(mlflow_client, "connect", lambda: pytest.fail("MLflow was asked"))

    project("reviews")


def test_an_alias_that_a_killed_process_left_behind_is_completed(registry, crown):
    crown("1")
    registry.add("reviews", "2")
    ledger.append(draft("promote", champion="2"), expected=1)

    [finding] = reconcile()

    assert (finding.model, finding.kind) == ("reviews", "completed")
    assert registry.aliases["reviews"] == {"champion": "2"}
    assert reconcile() == []


def test_an_alias_moved_by_hand_is_put_back_loudly(registry, crown, caplog):
    crown("1")
    crown("2")
    registry.add("reviews", "3")
    registry.aliases["reviews"] = {"champion": "3", "challenger": "1", "production": "1"}

    with caplog.at_level(logging.WARNING):
        [finding] = reconcile()

    assert finding.kind == "restored"
    assert finding.sentence == (
        "reviews: aliases were moved by hand and were put back to entry 2: champion was v3, is v2 again; "
        "challenger was v1, is nowhere again; previous was nowhere, is v1 again. "
        "To accept v3: rnnflow promote reviews/3 --reason TEXT"
    )
    assert caplog.messages == [finding.sentence]
    assert registry.aliases["reviews"] == {"champion": "2", "previous": "1", "production": "1"}


def test_an_alias_that_was_removed_is_put_back(registry, crown):
    crown("1")
    registry.aliases["reviews"] = {}

    [finding] = reconcile()

    assert finding.sentence == (
        "reviews: aliases were moved by hand and were put back to entry 1: champion was nowhere, is v1 again."
    )


def test_a_champion_without_a_ledger_is_adopted(registry):
    registry.add("reviews", "1", "2")
    registry.add("unnamed", "1")
    registry.aliases["reviews"] = {"champion": "2", "challenger": "1"}

    [finding] = reconcile()

    [entry] = ledger.read_entries("reviews")
    assert (finding.kind, entry.action, entry.champion, entry.holdout) == ("adopted", "adopt", "2", "")
    assert registry.aliases["reviews"] == {"champion": "2"}
    assert ledger.list_models() == ["reviews"]


def test_a_champion_that_was_deleted_is_reported_with_a_way_back_and_stops_no_other_model(registry, crown, caplog):
    crown("1")
    crown("2")
    crown("1", model="titles")
    registry.delete_version("reviews", "2")
    registry.aliases["titles"] = {}

    broken, restored = reconcile()

    assert (broken.kind, restored.kind) == ("broken", "restored")
    assert broken.sentence == (
        "E-REG-007 champion reviews/2 (entry 2, content content-2) is no longer registered.\n"
        "Fix: restore MLflow's store; or return to the last champion whose files are intact: rnnflow rollback reviews "
        "--reason TEXT; or accept another version: rnnflow promote reviews/1 --reason TEXT."
    )
    with pytest.raises(IntegrityError, match="E-REG-007"):
        project("reviews")


def test_a_deleted_version_that_is_not_champion_is_passed_over(registry, crown):
    crown("1")
    crown("2")
    registry.delete_version("reviews", "1")

    assert reconcile() == []
    assert registry.aliases["reviews"] == {"champion": "2"}


def test_an_entry_made_while_aliases_were_written_is_not_overwritten(registry, crown, monkeypatch):
    crown("1")
    registry.add("reviews", "2", "3")
    ledger.append(draft("promote", champion="2"), expected=1)
    write = aliases._write

    def write_late(model):
        entry = write(model)
        if entry.number == 2:
            ledger.append(draft("promote", champion="3"), expected=2)
        return entry

    monkeypatch.setattr(aliases, "_write", write_late)

    project("reviews")

    assert registry.aliases["reviews"] == {"champion": "3"}


def test_a_projection_that_fails_half_way_is_repeated(registry, crown, monkeypatch):
    crown("1")
    registry.add("reviews", "2")
    ledger.append(draft("promote", champion="2"), expected=1)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "set_registered_model_alias", interrupt)
        with pytest.raises(KeyboardInterrupt):
            project("reviews")

    project("reviews")

    assert registry.aliases["reviews"] == {"champion": "2"}


def test_another_model_under_the_old_number_is_not_the_champion(registry, crown):
    crown("1")
    registry.delete_model("reviews")
    registry.add("reviews", "1", content="worse")
    registry.aliases["reviews"] = {"champion": "1"}

    [broken] = reconcile()

    assert broken.kind == "broken"
    assert broken.sentence == (
        "E-REG-007 champion reviews/1 (entry 1, content content-1) is no longer registered: version 1 is another model "
        "now.\nFix: restore MLflow's store; or accept another version: rnnflow promote reviews/1 --reason TEXT."
    )
    assert registry.aliases["reviews"] == {}


def test_a_champion_that_was_registered_again_keeps_its_place_under_its_new_number(registry, crown):
    crown("1")
    registry.delete_version("reviews", "1")
    registry.add("reviews", "2", content="content-1")

    [finding] = reconcile()

    entry = ledger.head("reviews")
    assert (entry.action, entry.champion, entry.champion_content) == ("renumbered", "2", "content-1")
    assert finding.sentence == ("reviews: champion v1 was deleted in MLflow, and the same model is registered as v2.")
    assert registry.aliases["reviews"] == {"champion": "2"}
    assert reconcile() == []


def test_what_another_ledger_decided_is_left_alone_and_reported(registry, crown, monkeypatch, tmp_path):
    crown("1")
    crown("2")
    aliases_before = dict(registry.aliases["reviews"])
    monkeypatch.setenv("RNNFLOW_LEDGER_URL", f"sqlite:///{tmp_path}/other.db")
    assert reconcile() == []  # a model that this ledger does not know is not its business
    with pytest.raises(ServiceError, match="E-LED-004"):
        aliases.adopt("reviews")
    ledger.append(draft("first", champion="1"), expected=0)

    [foreign] = reconcile()

    assert foreign.kind == "foreign"
    assert foreign.sentence.startswith('E-LED-004 the champion of model "reviews" is decided by another ledger, ')
    assert registry.aliases["reviews"] == aliases_before
    with pytest.raises(ServiceError, match="E-LED-004"):
        project("reviews", anew=True)


def test_the_ways_out_of_another_ledgers_decision_can_be_followed(registry, crown, monkeypatch, tmp_path):
    first, second = (f"sqlite:///{tmp_path}/{name}.db" for name in ("first", "second"))
    monkeypatch.setenv("RNNFLOW_LEDGER_URL", first)
    crown("1")
    monkeypatch.setenv("RNNFLOW_LEDGER_URL", second)
    with pytest.raises(ServiceError, match="E-LED-004") as refused:
        aliases.adopt("reviews")

    assert refused.value.fix.startswith(f"set RNNFLOW_LEDGER_URL to {first} here, too")
    del registry.tags["reviews"]["rnnflow.ledger"]
    adopted = aliases.adopt("reviews")

    assert (adopted.action, adopted.champion, adopted.champion_content) == ("adopt", "1", "content-1")
    project("reviews")
    monkeypatch.setenv("RNNFLOW_LEDGER_URL", first)
    with pytest.raises(ServiceError, match="E-LED-004"):
        project("reviews", anew=True)


def test_copies_of_a_ledger_that_went_on_apart_are_told_apart(registry, crown, monkeypatch, tmp_path):
    crown("1")
    shutil.copyfile(mlflow_client.mlruns().parent / "mlruns" / "ledger.db", tmp_path / "copy.db")
    crown("2")
    monkeypatch.setenv("RNNFLOW_LEDGER_URL", f"sqlite:///{tmp_path}/copy.db")

    [behind] = reconcile()
    registry.add("reviews", "3")
    ledger.append(draft("promote", champion="3"), expected=1)
    [apart] = reconcile()

    for found in (behind, apart):
        assert found.kind == "foreign"
        assert found.sentence.startswith('E-LED-005 entry 2 of model "reviews", for which MLflow\'s aliases were')
    assert registry.aliases["reviews"] == {"champion": "2", "previous": "1"}
    del registry.tags["reviews"]["rnnflow.ledger_head"]  # the remedy
    assert [finding.kind for finding in reconcile()] == ["completed"]
    assert registry.aliases["reviews"] == {"champion": "3"}


def test_a_restored_registry_is_brought_to_what_the_ledger_says(registry, crown):
    crown("1")
    backup = copy.deepcopy(registry.__dict__)
    crown("2")
    registry.__dict__.update(backup)

    [broken] = reconcile()
    assert "champion reviews/2 (entry 2, content content-2) is no longer registered." in broken.sentence
    registry.add("reviews", "2", content="something else")
    [broken] = reconcile()

    assert "version 2 is another model now" in broken.sentence
    assert "champion" not in registry.aliases["reviews"]


def interrupt(*_):
    raise KeyboardInterrupt
