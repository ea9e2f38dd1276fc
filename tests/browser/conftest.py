"""A place with a small project, and a browser that can reach nothing but this machine."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.pages import close_promotions
from tests.browser.project import Place, choose_environment, run_rnnflow, write_recipe, write_reviews

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-proxy-server", OFFLINE)
VIEWPORT = {"width": 1200, "height": 800}
PATIENCE_MS = 60_000  # what a page may take on busy cores


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The distribution's Chromium; skips where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found, args=FLAGS)


@pytest.fixture(scope="module")
def place(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """What `rnnflow up` brings up in a new project folder, taken down whatever happens; not without a browser."""
    home = tmp_path_factory.mktemp("project")
    write_reviews(home / "rows.csv", seed=1)
    write_recipe(home / "tickets.toml", epochs=2)
    environment = choose_environment(home)
    try:
        arrival = run_rnnflow("up", environment)
        yield Place(home=home, prefect=arrival["prefect"], mlflow=arrival["mlflow"], environment=environment)
    finally:
        run_rnnflow("down", environment)


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    """One tab for the whole day, as a person has it."""
    expect.set_options(timeout=PATIENCE_MS)
    page = browser.new_context(viewport=VIEWPORT, locale="en-US").new_page()
    page.set_default_timeout(PATIENCE_MS)
    close_promotions(page)
    return page
