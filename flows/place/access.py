"""Who may reach a place from other machines: nobody, unless both servers ask for a password."""

import configparser
import importlib.util
import os
from pathlib import Path

from flows.place.settings import PlaceSettings
from tasks.errors import InputError, quoted

PREFECT_VARIABLE = "PREFECT_SERVER_API_AUTH_STRING"
MLFLOW_VARIABLE = "MLFLOW_AUTH_CONFIG_PATH"
PASSWORD_VARIABLE = "MLFLOW_AUTH_ADMIN_PASSWORD"  # noqa: S105 (a variable's name)
KNOWN_PASSWORD = "password1234"  # noqa: S105 (older releases of MLflow shipped with it)
ACCOUNTS_MODULE = "flask_wtf"
TEAM_PAGE = "docs/teams.md"


def prefect_auth_string() -> str:
    """`user:password` that Prefect's server asks for; empty if it asks for none."""
    return os.environ.get(PREFECT_VARIABLE, "")


def basic_auth_config() -> str:
    """Path of the settings of MLflow's accounts; empty if MLflow asks for none."""
    return os.environ.get(MLFLOW_VARIABLE, "")


def check_access(settings: PlaceSettings) -> None:
    """Let servers listen beyond this machine only with passwords.

    Raises InputError (E-CFG-010, E-CFG-012).
    """
    if basic_auth_config() and not settings.given_mlflow:
        _check_accounts(Path(basic_auth_config()))
    if not settings.is_exposed:
        return
    missing = [PREFECT_VARIABLE] if not (settings.given_prefect or prefect_auth_string()) else []
    missing += [MLFLOW_VARIABLE] if not (settings.given_mlflow or basic_auth_config()) else []
    if missing:
        raise InputError(
            "E-CFG-010",
            f"--host {quoted(settings.host)} would open servers without a password to other machines.",
            fix=f"set {' and '.join(missing)} as {TEAM_PAGE} shows, or leave out --host.",
        )


def _check_accounts(path: Path) -> None:
    """Refuse what MLflow would meet late or not at all; it checks the rest of its accounts itself when it starts."""
    accounts = configparser.ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8") as file:
            accounts.read_file(file)
        password = os.environ.get(PASSWORD_VARIABLE) or accounts.get("mlflow", "admin_password", fallback="")
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise _bad_accounts(path, f"cannot be read: {quoted(error)}.") from error
    if password == KNOWN_PASSWORD:
        raise _bad_accounts(path, "its admin_password is MLflow's published default.")
    if importlib.util.find_spec(ACCOUNTS_MODULE) is None:
        raise InputError(
            "E-CFG-012",
            f"{MLFLOW_VARIABLE} is set, but the module {ACCOUNTS_MODULE} of MLflow's accounts is not installed.",
            fix="pip install --constraint requirements.lock 'mlflow[auth]'",
        )


def _bad_accounts(path: Path, problem: str) -> InputError:
    return InputError("E-CFG-012", problem, fix=f"set up MLflow's accounts as {TEAM_PAGE} shows.", file=path)
