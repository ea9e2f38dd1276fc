"""Environment variables for the duration of a block."""

import contextlib
import os
from collections.abc import Generator, Mapping


@contextlib.contextmanager
def exported(environment: Mapping[str, str]) -> Generator[None]:
    """Set environment variables in a block, and leave them as they were."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
