"""How a command ends when it does not succeed: words for a person, an exit status for a script."""

import contextlib
import errno
import signal
from collections.abc import Generator
from types import FrameType

from tasks.errors import ResourceError, RnnflowError, quoted

KEPT = "Finished stages are kept: run the same command again to continue after them, with --resume also inside a fit."


class Terminated(BaseException):
    """SIGTERM arrived; not an Exception, so that only the end of the command catches it."""


@contextlib.contextmanager
def stopping_on_sigterm() -> Generator[None]:
    """Let SIGTERM unwind this block as Ctrl-C does, so that everything open is closed."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# What ends a command from outside: its exit status, and what a person reads.
STOPS: dict[type[BaseException], tuple[int, str]] = {
    KeyboardInterrupt: (128 + signal.SIGINT, "Interrupted."),
    Terminated: (128 + signal.SIGTERM, "Stopped by SIGTERM."),
}


def exit_status(error: BaseException) -> int:
    """The exit status that stands for an error."""
    return STOPS[type(error)][0] if type(error) in STOPS else as_rnnflow_error(error).exit_code


def describe_failure(error: BaseException) -> str:
    """What a person reads about an error: two lines, and a third if a line of a file was refused."""
    if type(error) in STOPS:
        return f"{STOPS[type(error)][1]}\n{KEPT}"
    return str(as_rnnflow_error(error))


def failure_as_json(error: BaseException) -> dict:
    """What a script reads about an error."""
    is_stop = type(error) in STOPS
    stop = {"code": "", "problem": STOPS[type(error)][1], "fix": KEPT} if is_stop else {}
    return {"error": stop or as_rnnflow_error(error).fields(), "exit_status": exit_status(error)}


def as_rnnflow_error(error: BaseException) -> RnnflowError:
    """Return an error that has a remedy as it is, and find words for any other."""
    if isinstance(error, RnnflowError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError("E-RES-001", "the disk is full.", fix="free space, then run again.", file=error.filename)
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        fix = "change its permissions, or set RNNFLOW_HOME to a folder of yours."
        return ResourceError("E-RES-003", "access is denied.", fix=fix, file=error.filename)
    if isinstance(error, MemoryError):
        return ResourceError("E-RES-002", "out of memory.", fix="lower batch_tokens or max_length, or use fewer rows.")
    return RnnflowError(
        "E-BUG-001",
        f"unexpected {type(error).__name__}: {quoted(error)}.",
        fix="this is a bug in rnnflow: please report it with the traceback that --debug shows.",
    )
