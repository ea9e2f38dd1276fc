"""A person's word: promoted, taken back, and taken back again; always with a reason, never losing the line."""

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tasks.errors import InputError, IntegrityError
from tasks.promotion import aliases, ledger, standing
from tasks.promotion.identities import roles_of
from tasks.promotion.overrides import find_way_back, promote, roll_back
from tasks.tracking import mlflow_client


def test_a_person_may_promote_any_whole_version(registry, crown):
    crown("1")
    registry.add("reviews", "2")

    entry = promote("reviews/2", reason=" better on slang ")

    assert (entry.action, entry.champion, entry.previous, entry.number) == ("promote", "2", "1", 2)
    assert (entry.reason, entry.actor) == ("better on slang", aliases.current_user())
    assert registry.aliases["reviews"] == {"champion": "2", "previous": "1"}


def test_promoting_the_champion_changes_nothing_and_mends_its_aliases(registry, crown):
    entry = crown("1")
    registry.add("reviews", "2")
    promoted = ledger.append(
        ledger.Draft(
            model="reviews", action="promote", champion="2", champion_content="content-2", reason="r", actor="a"
        ),
        expected=entry.number,
    )

    assert promote("reviews/2", reason="once more") == promoted
    assert registry.aliases["reviews"] == {"champion": "2"}


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 1001])
def test_a_change_without_a_reason_is_refused(registry, crown, reason):
    crown("1")
    registry.add("reviews", "2")

    for change in (lambda: promote("reviews/2", reason=reason), lambda: roll_back("reviews", reason=reason)):
        with pytest.raises(InputError, match=r"E-REG-008 reason: got .*, expected 1 to 1,000 characters\.\nFix: give"):
            change()

    assert len(ledger.read_entries("reviews")) == 1


def test_a_version_that_is_absent_or_damaged_is_not_promoted(registry, crown):
    crown("1")
    registry.add("reviews", "2")
    registry.damaged.add("2")

    with pytest.raises(IntegrityError, match="E-REG-003"):
        promote("reviews/2", reason="r")
    with pytest.raises(InputError, match="E-REG-001"):
        promote("reviews/9", reason="r")
    assert len(ledger.read_entries("reviews")) == 1


def test_a_rollback_returns_and_the_next_one_goes_further_back(registry, crown):
    for version in "123":
        crown(version)

    first = roll_back("reviews", reason="v3 is rude")
    second = roll_back("reviews", reason="v2 is slow")

    assert (first.champion, first.previous, first.challenger) == ("2", "1", "3")
    assert (second.champion, second.previous, second.challenger) == ("1", "", "2")
    assert registry.aliases["reviews"] == {"champion": "1", "challenger": "2"}
    with pytest.raises(InputError) as found:
        roll_back("reviews", reason="further")
    assert str(found.value) == (
        'E-REG-009 model "reviews" has no earlier champion whose files are intact.\n'
        "Fix: see `rnnflow history reviews`; any intact version can be made champion with `rnnflow promote`."
    )


def test_a_rollback_is_undone_by_promoting_what_was_taken_back(registry, crown):
    crown("1")
    crown("2")
    roll_back("reviews", reason="v2 is rude")

    promote("reviews/2", reason="it was not")

    champions = standing.list_champions(ledger.read_entries("reviews"))
    assert champions == [("1", "content-1"), ("2", "content-2")]
    assert registry.aliases["reviews"] == {"champion": "2", "previous": "1"}


def test_a_rollback_passes_over_damaged_and_deleted_champions(registry, crown):
    for version in "1234":
        crown(version)
    registry.damaged.add("3")
    registry.delete_version("reviews", "2")

    assert find_way_back("reviews") == "1"
    assert roll_back("reviews", reason="r").champion == "1"


def test_no_way_back_is_shown_to_a_model_that_was_deleted(registry, crown):
    crown("1")
    registry.add("reviews", "2")
    registry.delete_version("reviews", "1")

    promote("reviews/2", reason="v1 is gone")

    assert ledger.head("reviews").previous == "1"
    assert find_way_back("reviews") == ""


def test_a_rollback_returns_to_the_rows_its_champion_stood_on(crown):
    crown("1")
    crown("2")

    entry = roll_back("reviews", reason="r")

    assert (entry.holdout, entry.splits) == ("rows-of-1", "split/1")


def test_a_rollback_that_was_killed_before_its_aliases_is_completed_and_not_repeated(registry, crown, monkeypatch):
    for version in "123":
        crown(version)
    with monkeypatch.context() as patch:
        patch.setattr(aliases, "project", lambda model, anew: None)
        killed = roll_back("reviews", reason="r")

    assert roll_back("reviews", reason="r") == killed
    assert registry.aliases["reviews"]["champion"] == "2"


def test_a_rollback_saves_a_model_whose_champion_was_deleted(registry, crown):
    crown("1")
    crown("2")
    registry.delete_version("reviews", "2")

    roll_back("reviews", reason="v2 is gone")

    assert registry.aliases["reviews"] == {"champion": "1"}
    assert aliases.reconcile() == []


SEARCH = settings(max_examples=40, stateful_step_count=20, deadline=None, derandomize=True, database=None)


class Life(RuleBasedStateMachine):
    """Whatever people, gates, kills and hands do to a model: one line of entries, and aliases that follow it."""

    registry = None
    names = itertools.count()

    def __init__(self):
        super().__init__()
        self.model = f"model-{next(self.names)}"
        (mlflow_client.mlruns() / "ledger.db").unlink(missing_ok=True)  # entries of earlier models only cost time
        self.registry.add(self.model, "1")
        self.champions, self.registered, self.projected = [], 1, True
        self.registry.damaged.clear()

    def reference(self, version):
        return f"{self.model}/{version}"

    @property
    def whole(self):
        return self.registry.versions[self.model].keys() - self.registry.damaged

    def append(self, action, version, *, crowned):
        head = ledger.head(self.model)
        champion = version if crowned else head.champion
        previous = (self.champions[-1] if self.champions else "") if crowned else head.previous
        versions = {"champion": champion, "previous": previous, "challenger": version}
        contents = {f"{role}_content": one and f"content-{one}" for role, one in versions.items()}
        draft = ledger.Draft(model=self.model, action=action, reason="r", actor="gate", **versions, **contents)
        ledger.append(draft, expected=head.number if head else 0)
        if crowned:
            self.champions.append(version)
        self.projected = False

    @rule(crowned=st.booleans())
    def gate_judges(self, crowned):
        self.registered += 1
        self.registry.add(self.model, str(self.registered))
        first = not self.champions
        action = "first" if first else "promoted" if crowned else "kept"
        self.append(action, str(self.registered), crowned=first or crowned)

    @rule(number=st.integers(1, 4))
    def person_promotes(self, number):
        version = str(number)
        if version not in self.whole:
            with pytest.raises((InputError, IntegrityError)):
                promote(self.reference(version), reason="r")
            return
        promote(self.reference(version), reason="r")
        if not self.champions or self.champions[-1] != version:
            self.champions.append(version)
        self.projected = True

    @rule()
    def person_rolls_back(self):
        head = ledger.head(self.model)
        unfinished = head and head.action == "rollback" and not self.champion_is_shown()
        back = [i for i, v in enumerate(self.champions[:-1]) if v in self.whole and v != self.champions[-1]]
        if unfinished and head.champion in self.whole:
            roll_back(self.model, reason="r")
        elif not unfinished and back:
            roll_back(self.model, reason="r")
            del self.champions[back[-1] + 1 :]
        elif not unfinished:
            with pytest.raises(InputError, match="E-REG-009"):
                roll_back(self.model, reason="r")
            return
        else:
            return
        self.projected = True

    @precondition(lambda self: self.champions)
    @rule(number=st.integers(1, 4))
    def a_hand_moves_the_alias(self, number):
        if str(number) in self.registry.versions[self.model]:
            self.registry.aliases[self.model]["champion"] = str(number)
            self.projected = False

    @rule(number=st.integers(1, 4), deleted=st.booleans())
    def a_past_version_is_lost(self, number, deleted):
        version = str(number)
        if self.champions and version != self.champions[-1]:
            if deleted:
                self.registry.delete_version(self.model, version)
            else:
                self.registry.damaged.add(version)

    @rule()
    def the_place_starts(self):
        finding = aliases.reconcile_model(self.model)
        assert finding is None or finding.kind in ("completed", "restored")
        self.projected = True

    def champion_is_shown(self):
        return self.registry.aliases[self.model].get("champion") == self.champions[-1]

    @invariant()
    def the_ledger_is_one_line(self):
        entries = ledger.read_entries(self.model)
        assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
        assert [who.version for who in standing.list_champions(entries)] == self.champions
        assert [entry.champion for entry in entries[-1:]] == self.champions[-1:]
        assert [entry.previous for entry in entries[-1:] if entry.previous] == self.champions[:-1][-1:]

    @invariant()
    def aliases_follow_it(self):
        if self.projected and self.champions:
            found = self.registry.aliases[self.model]
            wanted = {role: who.version for role, who in roles_of(ledger.head(self.model)).items()}
            lost = {alias for alias, version in wanted.items() if version not in self.registry.versions[self.model]}
            assert {a: v for a, v in found.items() if a not in lost} == {
                a: v for a, v in wanted.items() if a not in lost
            }


def test_whatever_happens_the_ledger_is_one_line_and_the_aliases_follow(registry):
    Life.registry = registry

    run_state_machine_as_test(Life, settings=SEARCH)
