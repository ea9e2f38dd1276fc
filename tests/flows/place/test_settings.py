"""What a place is asked to be, before anything starts."""

import socket
import stat
from pathlib import Path

import pytest

from flows.place import access
from flows.place.access import check_access
from flows.place.devices import visible_devices
from flows.place.parts import parts_of
from flows.place.ports import check_ports
from flows.place.settings import PlaceSettings, choose_settings, load_settings, place_folder, save_settings
from flows.place.status import look_at_place, running_place
from tasks.errors import InputError, ServiceError

LISTED = """\
GPU 0: NVIDIA H200 (UUID: GPU-11111111-2222)
  MIG 1g.18gb     Device  0: (UUID: MIG-3333)
GPU 1: NVIDIA H200 (UUID: GPU-44444444-5555)
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "CUDA_VISIBLE_DEVICES",
        "MLFLOW_AUTH_ADMIN_PASSWORD",
        "MLFLOW_AUTH_CONFIG_PATH",
        "MLFLOW_TRACKING_URI",
        "PREFECT_API_URL",
        "PREFECT_SERVER_API_AUTH_STRING",
        "RNNFLOW_MLFLOW_PORT",
        "RNNFLOW_PREFECT_PORT",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")


def install_nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


def test_ports_come_from_options_then_variables_then_defaults(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RNNFLOW_PREFECT_PORT", "4300")
    monkeypatch.setenv("RNNFLOW_MLFLOW_PORT", "5300")

    assert choose_settings(mlflow_port=5400).ports == {"prefect": 4300, "mlflow": 5400}
    monkeypatch.delenv("RNNFLOW_PREFECT_PORT")
    assert choose_settings().prefect_api == "http://127.0.0.1:4200/api"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "https", "4200.0"])
def test_a_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, port: str):
    monkeypatch.setenv("RNNFLOW_PREFECT_PORT", port)

    with pytest.raises(InputError) as caught:
        choose_settings()

    assert str(caught.value) == (
        f'E-CFG-011 port of the prefect server: got "{port}", expected 1 to 65535.\n'
        "Fix: correct --prefect-port or RNNFLOW_PREFECT_PORT; the default is 4200."
    )


def test_given_servers_are_used_and_not_started(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PREFECT_API_URL", "https://prefect.example.org/api/")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")

    settings = choose_settings()

    assert settings.prefect_api == "https://prefect.example.org/api"
    assert settings.prefect_pages == "https://prefect.example.org/v2"
    assert settings.mlflow == "https://mlflow.example.org"
    assert [part.name for part in parts_of(settings)] == ["cpu-1", "gpu-1"]
    assert parts_of(settings)[0].environment["PREFECT_API_URL"] == "https://prefect.example.org/api"


@pytest.mark.parametrize(
    ("host", "address"),
    [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "[::1]"), ("192.0.2.1", "192.0.2.1")],
)
def test_a_server_on_every_address_is_called_on_loopback(host: str, address: str):
    assert PlaceSettings(host=host).mlflow == f"http://{address}:5000"


def test_every_gpu_gets_a_worker_that_sees_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    install_nvidia_smi(tmp_path, monkeypatch, f"cat <<'END'\n{LISTED}END")

    workers = [part for part in parts_of(choose_settings()) if part.pool == "gpu"]

    assert [worker.environment["CUDA_VISIBLE_DEVICES"] for worker in workers] == ["0", "1"]
    assert [worker.command[worker.command.index("--limit") + 1] for worker in workers] == ["1", "1"]


@pytest.mark.parametrize("script", ["exit 9", "echo no devices were found"])
def test_without_a_gpu_one_worker_uses_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str):
    assert visible_devices() == ("",)

    install_nvidia_smi(tmp_path, monkeypatch, script)

    assert visible_devices() == ("",)


@pytest.mark.parametrize(
    ("chosen", "devices"),
    [("1, 3", ("1", "3")), ("GPU-1a", ("GPU-1a",)), ("", ("",)), ("-1", ("",)), ("2,-1,3", ("2",))],
)
def test_the_users_choice_of_gpus_counts(monkeypatch: pytest.MonkeyPatch, chosen: str, devices: tuple[str, ...]):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)

    assert visible_devices() == devices


def test_servers_without_passwords_stay_on_this_machine():
    with pytest.raises(InputError) as caught:
        check_access(PlaceSettings(host="0.0.0.0"))

    assert str(caught.value) == (
        'E-CFG-010 --host "0.0.0.0" would open servers without a password to other machines.\n'
        "Fix: set PREFECT_SERVER_API_AUTH_STRING and MLFLOW_AUTH_CONFIG_PATH as docs/teams.md shows, "
        "or leave out --host."
    )
    for host in ("127.0.0.1", "localhost", "::1", "127.1.2.3"):
        check_access(PlaceSettings(host=host))
    check_access(PlaceSettings(host="0.0.0.0", given_prefect="https://a/api", given_mlflow="https://b"))


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org", "127.0.0.1.example.org"])
def test_one_password_is_not_enough(monkeypatch: pytest.MonkeyPatch, host: str):
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "admin:long-and-own")

    with pytest.raises(InputError, match=r"E-CFG-010 .*\nFix: set MLFLOW_AUTH_CONFIG_PATH as"):
        check_access(PlaceSettings(host=host))


def test_with_both_passwords_servers_may_listen_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    accounts = tmp_path / "accounts.ini"
    accounts.write_text("[mlflow]\nadmin_username = admin\nadmin_password = a-password-of-ours\n")
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "admin:long-and-own")
    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(accounts))
    settings = PlaceSettings(host="0.0.0.0")

    monkeypatch.setattr(access, "ACCOUNTS_MODULE", "no_such_module")
    with pytest.raises(InputError, match=r"E-CFG-012 .* no_such_module .*\nFix: pip install .*'mlflow\[auth\]'"):
        check_access(settings)

    monkeypatch.setattr(access, "ACCOUNTS_MODULE", "json")
    check_access(settings)

    prefect, mlflow, worker = parts_of(settings)[:3]
    assert prefect.environment["PREFECT_SERVER_API_HOST"] == "0.0.0.0"
    assert mlflow.command[-2:] == ("--app-name", "basic-auth")
    assert worker.environment["PREFECT_API_AUTH_STRING"] == "admin:long-and-own"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[mlflow]\nadmin_password = password1234\n", "its admin_password is MLflow's published default."),
        ("admin_password = x\n", 'cannot be read: "File contains no section headers.\\nfile: '),
        (None, 'cannot be read: "[Errno 2] No such file or directory: '),
    ],
)
def test_accounts_that_protect_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, problem: str
):
    accounts = tmp_path / "accounts.ini"
    if content is not None:
        accounts.write_text(content)
    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(accounts))

    with pytest.raises(InputError) as caught:
        check_access(PlaceSettings())

    assert str(caught.value).startswith(f"E-CFG-012 {accounts}: {problem}")
    assert str(caught.value).endswith("\nFix: set up MLflow's accounts as docs/teams.md shows.")


def test_a_free_port_passes_and_a_taken_one_does_not():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()

        with pytest.raises(ServiceError, match="E-SVC-010 the mlflow server cannot listen on port"):
            check_ports("127.0.0.1", {"mlflow": port})
    check_ports("127.0.0.1", {"mlflow": port})


def test_an_address_of_another_machine_cannot_be_listened_on():
    with pytest.raises(ServiceError, match=r'of "192\.0\.2\.1": "Cannot assign requested address"'):
        check_ports("192.0.2.1", {"prefect": 4200})


def test_settings_survive_a_restart(project: Path):
    settings = PlaceSettings(prefect_port=4201, devices=("0", "1"))
    place_folder()

    save_settings(settings)

    assert load_settings() == settings
    assert place_folder().stat().st_mode & 0o777 == 0o700


def test_a_place_that_was_never_up_is_not_there(project: Path):
    assert load_settings() is None
    assert running_place() is None
    assert not look_at_place().is_up


def test_settings_of_a_place_that_is_down_are_not_used(project: Path):
    place_folder()
    save_settings(PlaceSettings())

    assert running_place() is None
