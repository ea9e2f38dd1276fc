"""Run by supervisord for each part: makes room for it, then becomes its command.

A server that was killed leaves children behind that hold its port; they end here, or the new one could not start.
"""

import os
import subprocess
import sys

from flows.place.parts import parts_of
from flows.place.processes import end_processes, processes_of_part
from flows.place.settings import MLFLOW, load_settings
from tasks.store.artefacts import home

CREATE_STORE = "from tasks.tracking.mlflow_client import connect; connect()"


def main(name: str) -> None:
    """Replace this process by the part of this name."""
    settings = load_settings()
    assert settings is not None, "they are saved before any part starts"
    part = next(part for part in parts_of(settings) if part.name == name)
    end_processes(processes_of_part(name))
    os.chdir(home())
    environment = part.full_environment()
    if name == MLFLOW and not (home() / "mlruns" / "mlflow.db").exists():
        # MLflow's server would create its tables in place, where a kill among them leaves a store that opens no more.
        subprocess.run([sys.executable, "-c", CREATE_STORE], env=environment, check=True)
    os.execve(part.command[0], part.command, environment)  # noqa: S606 (a list of words, no shell)


if __name__ == "__main__":
    main(sys.argv[1])
