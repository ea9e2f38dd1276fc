"""A new champion takes over if it works; whatever is wrong with it, the old one goes on."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.errors import InputError, IntegrityError, ServiceError
from tasks.promotion import named_models
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import SERVING
from tasks.serving import champion
from tasks.serving.champion import ModelFollower, recall, remember, start_following

pytestmark = pytest.mark.usefixtures("home")

DEAD_SERVER = "http://127.0.0.1:9"  # the port of the protocol `discard`, which nothing speaks any more


@pytest.fixture
def champion_is(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Have the alias name a version, or raise an error."""

    def name(found: RegisteredModel | Exception) -> None:
        def resolve(_text: str) -> RegisteredModel:
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(named_models, "resolve_model", resolve)

    return name


def damaged_copy(model: RegisteredModel, folder: Path, damage: Callable[[Path], None]) -> RegisteredModel:
    shutil.copytree(model.folder, folder)
    copy = dataclasses.replace(model, folder=folder, version="3")
    damage(copy.parts)
    return copy


def flip_a_weight(classifier: Path) -> None:
    weights = classifier / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")


def lose_the_temperature(classifier: Path) -> None:
    fields = json.loads((classifier / SERVING).read_bytes())
    fields["serving"]["temperature"] = float("nan")
    (classifier / SERVING).write_text(json.dumps(fields))


def test_a_new_champion_takes_over_and_is_remembered(follower: ModelFollower, champion_is: Callable):
    second = named_models.resolve_model("reviews/2")
    champion_is(second)

    follower.look()

    assert (follower.current.label, follower.problem) == ("reviews/2", "")
    assert recall(follower.reference) == second


def test_the_same_champion_is_not_loaded_again(follower: ModelFollower):
    before = follower.current

    follower.look()

    assert follower.current is before


@pytest.mark.parametrize(("damage", "code"), [(flip_a_weight, "E-INT-001"), (lose_the_temperature, "E-SRV-005")])
def test_a_broken_champion_does_not_take_over(
    follower: ModelFollower, champion_is: Callable, tmp_path: Path, damage: Callable, code: str
):
    broken = damaged_copy(follower.current.registered, tmp_path / "broken", damage)
    champion_is(broken)

    follower.look()

    assert follower.current.label == "reviews/1"
    assert follower.problem.startswith(code)
    assert "\n" not in follower.problem
    champion_is(follower.current.registered)
    follower.look()
    assert follower.problem == ""


def test_whatever_goes_wrong_the_old_one_goes_on(follower: ModelFollower, champion_is: Callable):
    champion_is(ZeroDivisionError("odd\n\x1b[31m"))

    follower.look()

    assert follower.current.label == "reviews/1"
    assert follower.problem == 'unexpected ZeroDivisionError: "odd\\n\\x1b[31m"'


def test_without_mlflow_the_service_starts_from_this_machine(follower: ModelFollower, monkeypatch: pytest.MonkeyPatch):
    remember(follower.reference, follower.current.registered)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", DEAD_SERVER)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    started = start_following("reviews")

    assert started.current.label == "reviews/1"
    assert started.problem.startswith("E-SVC-004")


def test_without_mlflow_and_without_memory_the_service_does_not_start(champion_is: Callable):
    champion_is(ServiceError("E-SVC-004", "silent.", fix="start it."))

    with pytest.raises(ServiceError, match="E-SVC-004"):
        start_following("reviews@staging")


def test_a_remembered_version_whose_files_changed_is_refused(follower: ModelFollower, home: Path, tmp_path: Path):
    moved = damaged_copy(follower.current.registered, home / "elsewhere", lambda _classifier: None)
    remember(named_models.parse_reference("reviews@odd"), moved)
    (moved.parts / SERVING).write_text("{}")

    with pytest.raises(IntegrityError, match="E-REG-003"):
        recall(named_models.parse_reference("reviews@odd"))


def test_a_model_that_is_not_registered_is_not_looked_for_elsewhere():
    with pytest.raises(InputError, match="E-REG-001"):
        start_following("reviews@nobody")


def test_a_version_asked_for_by_number_is_not_followed(monkeypatch: pytest.MonkeyPatch):
    import asyncio

    started = start_following("reviews/2")
    monkeypatch.setattr(champion.asyncio, "sleep", None)  # following would call it

    asyncio.run(started.follow(0.01))

    assert started.current.label == "reviews/2"
