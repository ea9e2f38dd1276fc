"""MLflow's aliases follow the ledger, whoever moved them and whatever was killed."""

import logging

import pytest

from tasks import tracking
from tasks.errors import IntegrityError
from tasks.promotion import aliases, ledger
from tasks.promotion.aliases import aliases_of, project, reconcile
from tasks.promotion.ledger import Draft


def test_aliases_follow_the_last_entry(registry, crown):
    crown("1")
    assert registry.aliases["reviews"] == {"champion": "1"}
    crown("2")
    assert registry.aliases["reviews"] == {"champion": "2", "previous": "1"}


def test_a_challenger_that_was_kept_out_has_an_alias(registry, crown):
    crown("1")
    registry.add("reviews", "2")
    ledger.append(
        Draft(model="reviews", action="kept", champion="1", challenger="2", reason="r", actor="gate"), expected=1
    )

    project("reviews")

    assert registry.aliases["reviews"] == {"champion": "1", "challenger": "2"}


def test_aliases_that_were_written_are_not_written_again(registry, crown, monkeypatch):
    crown("1")
    monkeypatch.setattr(tracking, "connect", lambda: pytest.fail("MLflow was asked"))

    project("reviews")


def test_an_alias_that_a_killed_process_left_behind_is_completed(registry, crown):
    crown("1")
    registry.add("reviews", "2")
    ledger.append(Draft(model="reviews", action="promote", champion="2", reason="r", actor="kim"), expected=1)

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
        "E-REG-007 champion reviews/2 (entry 2) is no longer registered.\n"
        "Fix: restore MLflow's store, or return to the last champion that is whole: "
        "rnnflow rollback reviews --reason TEXT"
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
    ledger.append(Draft(model="reviews", action="promote", champion="2", reason="r", actor="a"), expected=1)
    write = aliases._write

    def write_late(entry):
        if entry.number == 2:
            ledger.append(Draft(model="reviews", action="promote", champion="3", reason="r", actor="b"), expected=2)
            write(ledger.head("reviews"))
        write(entry)

    monkeypatch.setattr(aliases, "_write", write_late)

    project("reviews")

    assert registry.aliases["reviews"] == {"champion": "3"}


def test_a_projection_that_fails_half_way_is_repeated(registry, crown, monkeypatch):
    crown("1")
    registry.add("reviews", "2")
    ledger.append(Draft(model="reviews", action="promote", champion="2", reason="r", actor="a"), expected=1)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "set_registered_model_alias", interrupt)
        with pytest.raises(KeyboardInterrupt):
            project("reviews")

    project("reviews")

    assert registry.aliases["reviews"] == aliases_of(ledger.head("reviews")) == {"champion": "2"}


def interrupt(*_):
    raise KeyboardInterrupt
