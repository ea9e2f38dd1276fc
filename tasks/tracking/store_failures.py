"""What a failure of MLflow's store means: it may pass (pending records are sent later) or would recur."""

import contextlib
from collections.abc import Generator

from tasks.errors import ServiceError, printable, quoted

# MLflow's codes for failures that a retry does not fix.
REFUSALS = frozenset(
    {
        *("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED"),
        *("ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED", "BAD_REQUEST", "INVALID_PARAMETER_VALUE"),
    }
)
SILENCE = "E-SVC-004"
LONGEST_MESSAGE = 1000  # characters


def does_not_answer(store: str, problem: str) -> ServiceError:
    """A failure after which the same may succeed (E-SVC-004)."""
    return ServiceError(
        SILENCE,
        f'MLflow\'s store {quoted(store)} failed: "{_in_one_line(problem)}".',
        fix="make sure that it runs and is writable, then run the same command again: finished stages are kept.",
    )


@contextlib.contextmanager
def passing_over_silence() -> Generator[None]:
    """End a block early where the store does not answer; what it missed is sent later."""
    try:
        yield
    except ServiceError as error:
        if error.code != SILENCE:
            raise


def refuses(store: str, problem: str) -> ServiceError:
    """A failure that would recur (E-SVC-028)."""
    return ServiceError(
        "E-SVC-028",
        f'MLflow\'s store {quoted(store)} refused: "{_in_one_line(problem)}".',
        fix="follow its message, or check MLFLOW_TRACKING_URI, MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; "
        "then run the same command again: finished stages are kept.",
    )


def is_refusal(error_code: str, *, is_server: bool) -> bool:
    """Tell whether an MLflow error would recur; without a server in between, only a busy database would not."""
    return error_code in REFUSALS or (error_code == "INTERNAL_ERROR" and not is_server)


def _in_one_line(problem: str) -> str:
    """A message with its remedy, which often comes last; only an HTML page instead of a message is cut."""
    return printable(" ".join(problem.split()))[:LONGEST_MESSAGE]
