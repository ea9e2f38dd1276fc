"""The ledger loses nothing, lets one of many authors win, and notices what was changed behind its back."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tasks.errors import IntegrityError, ServiceError
from tasks.promotion import database, ledger
from tasks.promotion.ledger import ChampionChanged, Draft, append, head, read_entries
from tasks.promotion.verdicts import count_decisions
from tasks.tracking import mlflow_client

ROOT = Path(__file__).parents[3]
DRAFT = Draft(model="reviews", action="kept", champion="1", reason="équal", actor="gate", verdict={"alpha": 0.1})


@pytest.fixture
def file(project):
    return project / "mlruns" / "ledger.db"


def tamper(file, *statements):
    with sqlite3.connect(file) as connection:
        for change in ("update", "delete"):
            connection.execute(f"DROP TRIGGER promotions_refuse_{change}")
        for statement in statements:
            connection.execute(statement)


def test_entries_are_numbered_and_read_as_they_were_written():
    written = [append(DRAFT, expected=number) for number in range(3)]

    assert read_entries("reviews") == written
    assert [entry.number for entry in written] == [1, 2, 3]
    assert head("reviews").verdict == {"alpha": 0.1}
    assert [entry.predecessor for entry in written] == ["", written[0].digest, written[1].digest]


def test_reading_a_ledger_that_was_never_written_creates_nothing(project):
    assert (read_entries("reviews"), head("reviews"), ledger.list_models()) == ([], None, [])
    assert list(project.iterdir()) == []


def test_models_are_numbered_apart():
    append(DRAFT, expected=0)
    append(Draft(model="titles", action="first", champion="1", reason="r", actor="a"), expected=0)

    assert ledger.list_models() == ["reviews", "titles"]
    assert [entry.number for entry in read_entries("titles")] == [1]


def test_an_author_who_saw_an_older_entry_loses():
    append(DRAFT, expected=0)

    with pytest.raises(ChampionChanged) as lost:
        append(DRAFT, expected=0)

    assert str(lost.value) == (
        'E-LED-001 the ledger of model "reviews" has meanwhile grown beyond entry 0.\n'
        "Fix: look at `rnnflow history reviews`, then run the same command again."
    )
    assert lost.value.exit_code == 5
    assert len(read_entries("reviews")) == 1


def test_the_unique_key_stops_an_author_whose_look_was_stale(monkeypatch):
    append(DRAFT, expected=0)
    monkeypatch.setattr(ledger, "_read", lambda connection, model: [])

    with pytest.raises(ChampionChanged, match="E-LED-001"):
        append(DRAFT, expected=0)


@pytest.mark.parametrize("statement", ["UPDATE promotions SET reason = ''", "DELETE FROM promotions"])
def test_the_database_refuses_to_change_or_delete_entries(file, statement):
    append(DRAFT, expected=0)

    with sqlite3.connect(file) as connection, pytest.raises(sqlite3.IntegrityError, match="are never"):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "damaged"),
    [
        ("UPDATE promotions SET champion = '9' WHERE number = 2", 2),
        ("UPDATE promotions SET verdict = 'x' WHERE number = 3", 3),
        ("UPDATE promotions SET digest = 'x' WHERE number = 1", 1),
        ("DELETE FROM promotions WHERE number = 2", 2),
        ("DELETE FROM promotions WHERE number = 1", 1),
    ],
)
def test_a_reader_names_the_entry_that_was_changed(file, statement, damaged):
    for number in range(3):
        append(DRAFT, expected=number)
    tamper(file, statement)

    with pytest.raises(IntegrityError) as found:
        read_entries("reviews")

    assert str(found.value) == (
        f'E-LED-002 {file}: entry {damaged} of model "reviews" is missing or is not the one that was written.\n'
        "Fix: restore the ledger from a backup; until then it is unknown who is champion."
    )


def test_a_chain_that_was_rewritten_in_one_place_breaks_at_the_next(file):
    entries = [append(DRAFT, expected=number) for number in range(3)]
    row = ledger._row_of(Draft(**{**DRAFT.__dict__, "champion": "9"}), entries[:1])
    tamper(file, f"UPDATE promotions SET champion = '9', digest = '{row['digest']}' WHERE number = 2")

    with pytest.raises(IntegrityError, match=r"entry [23] of model"):
        read_entries("reviews")


def test_only_choices_between_two_models_wear_the_test_rows():
    for number, action in enumerate(["first", "kept", "promoted", "refused", "noted", "rollback", "promote"]):
        append(Draft(model="m", action=action, champion="1", reason="r", actor="a", holdout="rows"), expected=number)
    append(Draft(model="m", action="kept", champion="1", reason="r", actor="a", holdout="others"), expected=7)

    entries = read_entries("m")
    assert (count_decisions(entries, "rows"), count_decisions(entries, "others")) == (2, 1)


def test_a_damaged_database_is_named_with_its_remedy(file):
    file.parent.mkdir()
    file.write_bytes(b"this is no database, and long enough to be read as one" * 100)

    with pytest.raises(ServiceError) as found:
        read_entries("reviews")

    assert str(found.value) == (
        f'E-LED-003 {file}: the ledger of promotions failed: "(sqlite3.DatabaseError) file is not a database".\n'
        "Fix: check RNNFLOW_LEDGER_URL and its driver, or restore the database from a backup."
    )


def test_a_locked_database_is_waited_for_and_then_named(file, monkeypatch):
    append(DRAFT, expected=0)
    monkeypatch.setattr(database, "BUSY_S", 0.1)
    database._engine.cache_clear()
    with sqlite3.connect(file) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ServiceError) as found:
            append(DRAFT, expected=1)
    database._engine.cache_clear()

    assert str(found.value) == (
        f'E-LED-003 {file}: the ledger of promotions failed: "(sqlite3.OperationalError) database is locked".\n'
        "Fix: wait for the process that writes to it, or end it, then run the same command again."
    )


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql+none://kim:secret@127.0.0.1:9/ledger", "postgresql+none://kim:***@127.0.0.1:9/ledger"),
        ("nonsense", "RNNFLOW_LEDGER_URL"),
    ],
)
def test_a_database_elsewhere_that_cannot_be_reached_is_named_without_its_password(monkeypatch, url, place):
    monkeypatch.setenv("RNNFLOW_LEDGER_URL", url)

    with pytest.raises(ServiceError, match="E-LED-003") as found:
        append(DRAFT, expected=0)

    assert found.value.place == f"{place}: "
    assert "secret" not in str(found.value)


def test_a_ledger_may_lie_elsewhere(project, monkeypatch):
    monkeypatch.setenv("RNNFLOW_LEDGER_URL", f"sqlite:///{project}/shared/ledger.db")

    append(DRAFT, expected=0)

    assert len(read_entries("reviews")) == 1
    assert [path.name for path in project.iterdir()] == ["shared"]


def test_versions_of_another_mlflow_server_have_a_ledger_of_their_own(monkeypatch):
    append(DRAFT, expected=0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")

    assert read_entries("reviews") == []


def test_a_ledger_without_contents_is_an_error_and_not_an_empty_one(file):
    file.parent.mkdir()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE promotions (model, number, champion, digest)")

    for use in (lambda: read_entries("reviews"), ledger.read_identity, lambda: append(DRAFT, expected=0)):
        with pytest.raises(ServiceError, match=r"E-LED-003 .* no such"):
            use()


def test_a_ledger_has_one_identity_and_a_copy_has_the_same(file, tmp_path, monkeypatch):
    append(DRAFT, expected=0)
    identity = ledger.read_identity()
    append(DRAFT, expected=1)
    shutil.copyfile(file, tmp_path / "copy.db")
    monkeypatch.setenv("RNNFLOW_LEDGER_URL", f"sqlite:///{tmp_path}/copy.db")
    assert ledger.read_identity() == identity
    monkeypatch.setenv("RNNFLOW_LEDGER_URL", f"sqlite:///{tmp_path}/other.db")
    append(DRAFT, expected=0)

    assert ledger.read_identity() not in ("", identity)


RACE = """
import sys
from tasks.promotion.ledger import ChampionChanged, Draft, append, read_entries
author, rounds = sys.argv[1], int(sys.argv[2])
won = 0
for number in range(rounds):
    while len(read_entries("race")) < number:
        pass
    try:
        draft = Draft(model="race", action="promote", champion=author, reason=str(number), actor=author)
        append(draft, expected=number)
        won += 1
    except ChampionChanged:
        pass
print(won)
"""


@pytest.mark.parametrize(("authors", "rounds"), [(2, 25), (8, 8)])
def test_of_authors_at_once_one_wins_each_round_and_no_update_is_lost(authors, rounds, fresh_process):
    racers = [fresh_process.start(RACE, str(author), str(rounds), cwd=ROOT) for author in range(authors)]
    won = {str(author): int(racer.communicate()[0]) for author, racer in enumerate(racers)}

    entries = read_entries("race")
    assert [entry.reason for entry in entries] == [str(number) for number in range(rounds)]
    assert won == {author: sum(entry.actor == author for entry in entries) for author in won}


KILLED = """
import os, signal
from sqlalchemy import event
from tasks.promotion import database
from tasks.promotion.ledger import Draft, append
engine = database._engine(database.ledger_url())
calls = iter(range(AT))
@event.listens_for(engine, "before_cursor_execute")
def count(*_):
    if next(calls, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
append(Draft(model="reviews", action="first", champion="1", reason="r", actor="a"), expected=0)
"""


def test_a_kill_while_the_ledger_is_created_leaves_none_or_a_protected_one(file, fresh_process):
    outcomes = []
    for at in range(40):
        killed = fresh_process.run(KILLED.replace("AT", str(at)), cwd=ROOT)
        outcomes.append((killed.returncode, len(read_entries("reviews"))))
        if killed.returncode == 0:
            break

    assert outcomes[-1] == (0, 1)
    assert set(outcomes[:-1]) == {(-9, 0)}
    assert len(outcomes) > 4
    with sqlite3.connect(file) as connection, pytest.raises(sqlite3.IntegrityError, match="are never"):
        connection.execute("DELETE FROM promotions")


def test_entries_can_be_printed_as_json():
    assert json.loads(json.dumps(append(DRAFT, expected=0).__dict__))["reason"] == "équal"
    assert mlflow_client.mlruns().is_dir()
