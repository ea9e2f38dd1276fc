"""Half-built artefacts go after a week, unless somebody builds them."""

import fcntl
import os
import time

import pytest

from tasks.store.leftovers import delete_stale_partials

DAY_S = 24 * 3600


@pytest.fixture
def partial(project):
    folder = project / "data" / "fit" / "abc.partial"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "1.safetensors").write_bytes(b"weights")
    folder.with_name("abc.lock").touch()
    return folder


def age(folder, days: float) -> None:
    then = time.time() - days * DAY_S
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (then, then))


def test_an_interrupted_fit_keeps_its_checkpoints_for_a_week(partial):
    age(partial, 6.9)
    assert delete_stale_partials() == []

    age(partial, 7.1)
    assert delete_stale_partials() == ["fit/abc"]
    assert not partial.exists()


def test_a_fit_that_is_still_written_to_is_young(partial):
    age(partial, 8)
    (partial / "checkpoints" / "1.safetensors").touch()

    assert delete_stale_partials() == []


def test_what_is_being_built_stays_however_old_it_is(partial):
    age(partial, 30)
    with partial.with_name("abc.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert delete_stale_partials() == []

    assert delete_stale_partials() == ["fit/abc"]


def test_finished_artefacts_stay(project):
    artefact = project / "data" / "fit" / "abc"
    artefact.mkdir(parents=True)
    age(artefact, 400)

    assert delete_stale_partials() == []
    assert artefact.exists()
