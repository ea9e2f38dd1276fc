"""Who is champion is told by content: whatever becomes of versions and models in the registry, all agree or say why."""

import copy
import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tasks.errors import InputError, IntegrityError
from tasks.gate import project_aliases
from tasks.labelled.promotion import PromotionSettings
from tasks.promotion import aliases, ledger
from tasks.promotion import named_models as registered
from tasks.promotion.decision import recall
from tasks.promotion.identities import locate
from tasks.promotion.overrides import promote, roll_back
from tasks.promotion.verdicts import Case, Challenge
from tasks.registry import registrations
from tasks.tracking import mlflow_client

SEARCH = settings(max_examples=20, stateful_step_count=20, deadline=None, derandomize=True, database=None)
CONTENTS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(1, 4).map(str)


class Fate(RuleBasedStateMachine):
    """A model that is trained, judged and overruled while its registry is tidied up, deleted and restored."""

    registry = None
    names = itertools.count()

    def __init__(self):
        super().__init__()
        self.model = f"fate-{next(self.names)}"
        (mlflow_client.mlruns() / "ledger.db").unlink(missing_ok=True)
        self.registry.__dict__.update(type(self.registry)().__dict__)
        self.champion, self.backup, self.followed = "", None, True

    @property
    def versions(self):
        return registrations.read_versions(self.model)

    def is_registered(self, content):
        return content in self.versions.values()

    @rule(content=CONTENTS, better=st.booleans())
    def a_model_is_trained(self, content, better):
        number = self.registry.register(self.model, content)
        rows, run = SimpleNamespace(digest="rows", origin=""), {"trigger": "", "flow_run": "", "mlflow_run": ""}
        who = {"model": self.model, "version": number, "content": content}
        challenge = Challenge(holdout=rows, splits="split/1", **who, **run)
        case = Case(entries=ledger.read_entries(self.model), challenge=challenge, settings=PromotionSettings())
        known = recall(case)
        if known and (known[0].verdict == "current" or self.is_registered(self.champion)):
            verdict, entry = known
            assert content in (entry.challenger_content, entry.champion_content)
            assert (verdict.verdict == "current") == (content == self.champion)
        else:
            crowned = better and self.is_registered(self.champion)
            word = "promoted" if crowned else "kept" if self.is_registered(self.champion) else "refused"
            word = word if self.champion else "first"
            verdict = replace(case.rule(word, ["r"]), champion=number if crowned else case.champion)
            ledger.append(case.draft(verdict), expected=len(case.entries))
            self.champion = content if word in ("first", "promoted") else self.champion
        project_aliases(challenge)
        # Where nothing was decided, an alias that a hand moved stays until the place is tidied.
        self.followed = self.followed or ledger.head(self.model).number > len(case.entries)

    @rule(number=NUMBERS)
    def a_version_is_deleted(self, number):
        if self.model in self.registry.versions:
            self.registry.delete_version(self.model, number)

    @rule()
    def the_model_is_deleted(self):
        self.registry.delete_model(self.model)

    @rule()
    def the_registry_is_backed_up(self):
        self.backup = copy.deepcopy(self.registry.__dict__)

    @precondition(lambda self: self.backup)
    @rule()
    def the_registry_is_restored(self):
        self.registry.__dict__.update(copy.deepcopy(self.backup))
        self.followed = False

    @precondition(lambda self: self.versions)
    @rule(number=NUMBERS)
    def a_hand_moves_the_alias(self, number):
        if number in self.versions:
            self.registry.aliases[self.model]["champion"] = number
            self.followed = False

    @rule(number=NUMBERS)
    def a_person_promotes(self, number):
        content = self.registry.content_of(self.model, number)
        if not content:
            with pytest.raises(InputError, match="E-REG-001"):
                promote(f"{self.model}/{number}", reason="r")
            return
        assert promote(f"{self.model}/{number}", reason="r").champion_content == content
        self.champion, self.followed = content, True

    @rule()
    def a_person_rolls_back(self):
        past = {entry.champion_content for entry in ledger.read_entries(self.model)}
        if not {content for content in past - {self.champion} if self.is_registered(content)}:
            with pytest.raises(InputError, match="E-REG-009"):
                roll_back(self.model, reason="r")
            return
        try:
            self.champion = roll_back(self.model, reason="r").champion_content
        except InputError:
            return  # a rollback took it out of the line
        assert self.champion in past
        assert self.is_registered(self.champion)
        self.followed = True

    @rule()
    def the_place_is_tidied(self):
        gone = bool(self.champion) and not self.is_registered(self.champion)
        kinds = [finding.kind for finding in aliases.reconcile() if finding.model == self.model]
        assert ("broken" in kinds) == gone
        self.followed = True

    @invariant()
    def all_agree_or_say_why(self):
        head = ledger.head(self.model)
        assert (head.champion_content if head else "") == self.champion
        if not head:
            return
        if not self.is_registered(self.champion):
            with pytest.raises(IntegrityError, match="E-REG-007 champion"):
                registered._decided(registered.parse_reference(self.model))
        else:
            meant = registered._decided(registered.parse_reference(self.model))
            assert self.versions[meant.version] == self.champion
            assert meant.version == locate(head.who("champion"), self.versions)
        if self.followed and "champion" in self.registry.aliases.get(self.model, {}):
            assert self.registry.content_of(self.model, self.registry.aliases[self.model]["champion"]) == self.champion


def test_history_aliases_and_names_agree_on_content_whatever_happens(registry):
    Fate.registry = registry

    run_state_machine_as_test(Fate, settings=SEARCH)
