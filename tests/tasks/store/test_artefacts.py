import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rnnmodels.durable import write_durably
from tasks.errors import IntegrityError
from tasks.store import artefacts
from tasks.store.manifest import Summary


def write_numbers(folder: Path) -> dict:
    (folder / "numbers.txt").write_text("1 2 3")
    return Summary.model_validate({"rows": 3})


def build_numbers(write=write_numbers, **changes) -> artefacts.Artefact:
    arguments = {"module": "tasks.store.artefacts", "config": {"size": 3}} | changes
    return artefacts.build("numbers", write, **arguments)


def test_a_second_build_reuses_the_first():
    first = build_numbers()

    second = build_numbers(write=lambda folder: pytest.fail("computed again"))

    assert not first.cached
    assert second.cached
    assert (second.key, second.digest, second.rows) == (first.key, first.digest, 3)


@pytest.mark.parametrize(
    "change", [{"config": {"size": 4}}, {"inputs": {"source": "0" * 64}}, {"module": "tasks.errors"}]
)
def test_another_config_input_or_code_has_another_key(change):
    assert build_numbers(**change).key != build_numbers().key


def test_refresh_computes_again_and_keeps_the_key():
    first = build_numbers()

    with artefacts.refreshing(True):
        second = build_numbers()

    assert not second.cached
    assert second.key == first.key
    assert build_numbers().cached


def test_a_config_that_json_cannot_hold_is_an_error():
    with pytest.raises(TypeError):
        build_numbers(config={"when": object()})


@pytest.mark.parametrize("damage", [lambda p: p.write_text("1 2 4"), lambda p: p.write_text(""), Path.unlink])
def test_a_damaged_file_is_refused_by_readers_and_rebuilt_by_the_next_run(damage):
    artefact = build_numbers()
    damage(artefact.path / "numbers.txt")

    with pytest.raises(IntegrityError) as error:
        artefact.file("numbers.txt")
    rebuilt = build_numbers()

    assert str(error.value) == (
        f"E-INT-001 {artefact.path}/numbers.txt: is not the file that was written (its SHA-256 differs or it is "
        "missing).\nFix: run the same command again: the stage finds the damage and rebuilds it."
    )
    assert not rebuilt.cached
    assert rebuilt.digest == artefact.digest


def test_every_flipped_bit_of_a_file_is_found():
    artefact = build_numbers()
    path = artefact.path / "numbers.txt"
    intact = path.read_bytes()

    for bit in range(8 * len(intact)):
        damaged = bytearray(intact)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(IntegrityError):
            artefact.file("numbers.txt")


def test_a_failed_build_leaves_nothing_that_a_reader_would_take_for_a_result(project: Path):
    def fail(folder: Path) -> dict:
        (folder / "numbers.txt").write_text("1 2")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        build_numbers(write=fail)
    manifests = list(project.rglob(artefacts.MANIFEST))
    artefact = build_numbers()

    assert manifests == []
    assert artefact.file("numbers.txt").read_text() == "1 2 3"


def test_a_resumed_build_finds_what_the_last_one_left():
    def fail(folder: Path) -> dict:
        (folder / "half.txt").write_text("1")
        raise RuntimeError

    def finish(folder: Path) -> dict:
        (folder / "half.txt").rename(folder / "numbers.txt")
        return Summary.model_validate({"rows": 1})

    with pytest.raises(RuntimeError):
        build_numbers(write=fail)

    assert build_numbers(write=finish, resume=True).file("numbers.txt").read_text() == "1"


def test_the_manifest_names_files_parents_and_versions():
    parent = build_numbers()
    manifest = build_numbers(inputs={"parent": parent}).manifest

    assert manifest["inputs"] == {"parent": parent.digest}
    assert manifest["files"]["numbers.txt"]["bytes"] == 5
    assert manifest["libraries"]["python"]
    assert json.dumps(manifest, allow_nan=False)


BUILD_SLOWLY = """
import pathlib, sys, time
from rnnmodels.durable import write_durably
from tasks.store import artefacts
from tasks.store.manifest import Summary

def write(folder):
    with pathlib.Path(sys.argv[1]).open("a") as log:
        log.write("built\\n")
    time.sleep(1)
    (folder / "numbers.txt").write_text("1 2 3")
    return Summary.model_validate({"rows": 3})

artefacts.build("numbers", write, module="tasks.store.artefacts", config={"size": 3})
"""
DIE_WHILE_BUILDING = """
import os, signal
from rnnmodels.durable import write_durably
from tasks.store import artefacts

artefacts.build(
    "numbers", lambda folder: os.kill(os.getpid(), signal.SIGKILL), module="tasks.store.artefacts", config={"size": 3}
)
"""


def start_python(script: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=Path(__file__).parents[3])


def test_of_many_processes_one_builds_and_the_others_wait(project: Path):
    log = project / "log.txt"
    processes = [start_python(BUILD_SLOWLY, str(log)) for _ in range(4)]

    assert [process.wait() for process in processes] == [0] * 4
    assert log.read_text() == "built\n"


def test_a_killed_builder_blocks_nobody(project: Path):
    assert start_python(DIE_WHILE_BUILDING).wait() == -signal.SIGKILL
    assert not build_numbers().cached


def test_durable_writes_replace_the_whole_file(tmp_path: Path):
    path = tmp_path / "state.json"
    write_durably(path, b"old" * 1000)
    write_durably(path, b"new")

    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
