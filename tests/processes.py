"""Python processes of their own: fresh ones, and ones that start with heavy packages imported.

The latter are forked by the standard library's fork server, which imports the packages once: a test that runs torch or
MLflow in another process need not wait for them.
"""

import atexit
import multiprocessing
import os
import subprocess
import sys
import types
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from threading import Thread


class Fresh:
    """Starts processes as a shell does."""

    def start(self, code: str, *arguments: str, cwd: Path, **environment: str) -> "subprocess.Popen | Forked":
        """Run code within `cwd`, and within this process's environment and more."""
        command = [sys.executable, "-c", code, *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=cwd, env={**os.environ, **environment}, text=True, **pipes)

    def run(self, code: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
        """The same to its end, with what it printed."""
        process = self.start(code, *arguments, cwd=cwd, **environment)
        stdout, stderr = process.communicate()
        return subprocess.CompletedProcess([], process.wait(), stdout, stderr)


class Forker(Fresh):
    """Starts processes that have some packages imported, and no module of the project; of forkers there is one."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(packages))

    def start(self, code: str, *arguments: str, cwd: Path, **environment: str) -> "Forked":
        stdout, stderr = os.pipe(), os.pipe()
        outputs = (Output(stdout[1]), Output(stderr[1]))
        order = (code, arguments, str(cwd), {**os.environ, **environment}, outputs)
        process = self._context.Process(target=execute, args=order)
        process.start()
        for end in (stdout[1], stderr[1]):
            os.close(end)
        return Forked(process, stdout[0], stderr[0])


class Output:
    """A file descriptor that travels to a process as it starts."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __getstate__(self) -> dict:
        return {"sent": DupFd(self.descriptor)}

    def replace(self, descriptor: int) -> None:
        os.dup2(self.sent.detach(), descriptor)


class Forked:
    """As much of `subprocess.Popen` as the tests need."""

    def __init__(self, process: BaseProcess, stdout: int, stderr: int) -> None:
        self._process = process
        self.pid = process.pid
        self.stdout, self.stderr = os.fdopen(stdout), os.fdopen(stderr)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def communicate(self) -> tuple[str, str]:
        errors: list[str] = []
        reader = Thread(target=lambda: errors.append(self.stderr.read()))
        reader.start()
        stdout = self.stdout.read()
        reader.join()
        self.wait()
        return stdout, errors[0]


def execute(
    code: str, arguments: Sequence[str], cwd: str, environment: dict[str, str], outputs: tuple[Output, Output]
) -> None:
    """Do what `python -c` does, in a process that was forked."""
    for number, output in enumerate(outputs, start=1):
        output.replace(number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path.insert(0, cwd)
    sys.argv = ["-c", *arguments]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        exec(code, vars(main))
    finally:
        atexit._run_exitfuncs()
