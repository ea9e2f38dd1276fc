"""The log of a run."""

import logging
import os

import pytest
from rich.console import Console

from flows.place.run_log import LOGGING_ENVIRONMENT, logging_run


def test_a_run_leaves_the_process_as_it_found_it(monkeypatch: pytest.MonkeyPatch):
    given, *others = LOGGING_ENVIRONMENT
    for name in others:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(given, "own")
    before, root = dict(os.environ), logging.getLogger()
    handlers, level = [*root.handlers], root.level

    with logging_run("run", Console(quiet=True), verbose=False) as path:
        assert {name: os.environ[name] for name in LOGGING_ENVIRONMENT} == {**LOGGING_ENVIRONMENT, given: "own"}
        logging.getLogger("flows").info("begun")

    assert "begun" in path.read_text()
    assert dict(os.environ) == before
    assert ([*root.handlers], root.level) == (handlers, level)
