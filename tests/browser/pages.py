"""What a person does on the pages of Prefect and of MLflow: a function per action, in the words of the pages."""

import contextlib
import re
import time
from collections.abc import Callable

from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as NotInTime

ATTEMPTS = 5
RUN_CARD, RUN_LINK = "[data-slot=card]", "a[href*='/runs/flow-run/']"
FLOW_LINK, DEPLOYMENT_LINK = "a[href*='/flows/flow/']", "a[href*='/deployments/deployment/']"
RELOAD_MS = 10_000
REFUSAL_MS = 20_000  # what has shown nothing by then was refused
FINAL_STATE = re.compile(r"^\s*(Completed|Skipped|Failed|Crashed|Cancelled)\s*$")


def persist(act: Callable[[], None], *, until: Locator) -> None:
    """Do something until it shows: a busy server refuses now and then, and a person does it again."""
    for _ in range(ATTEMPTS):
        # What was slow to show may have taken the button away.
        with contextlib.suppress(NotInTime):
            act()
        with contextlib.suppress(NotInTime):
            return until.wait_for(timeout=REFUSAL_MS)
    said = until.page.locator("body").inner_text()
    raise AssertionError(f"done {ATTEMPTS} times, and {until} did not appear; the page says:\n{said}")


def press(page: Page, button: str) -> None:
    """Press a button."""
    page.get_by_role("button", name=button, exact=True).click()


# Prefect: deployments


def open_deployment(page: Page, prefect: str, deployment: str) -> None:
    """Find a deployment, such as `train/tickets`, in the list and open it."""
    flow, _, name = deployment.partition("/")
    page.goto(f"{prefect}/deployments")
    row = page.get_by_role("row").filter(has=page.locator(FLOW_LINK, has_text=re.compile(f"^{flow}$")))
    row.locator(DEPLOYMENT_LINK, has_text=re.compile(f"^{name}$")).click()
    deployment_page(page).wait_for()


def deployment_page(page: Page) -> Locator:
    """What only the page of a deployment shows."""
    return page.get_by_role("tab", name="Upcoming")


def open_custom_run(page: Page) -> Locator:
    """Choose Run, Custom run; returns the form."""
    press(page, "Run")
    page.get_by_role("menuitem", name="Custom run").click()
    return recipe_form(page)


def start_quick_run(page: Page) -> None:
    """Choose Run, Quick run: everything as it is deployed, and nothing is asked."""
    press(page, "Run")
    page.get_by_role("menuitem", name="Quick run").click()
    page.get_by_text("Flow run created").wait_for()


def switch_of_schedule(page: Page) -> Locator:
    """What turns the one schedule of the deployment's page on and off."""
    return page.get_by_role("switch").first


# Prefect: the form of a recipe


def recipe_form(page: Page) -> Locator:
    """The form, once its fields are there."""
    form = page.locator("form").first
    form.get_by_text("Candidates (Optional)", exact=True).wait_for()
    return form


def group_of(form: Locator, label: str) -> Locator:
    """A field of the form with everything that belongs to it; the first of that label."""
    here = form.get_by_text(label, exact=True).first
    return here.locator("xpath=ancestor::div[contains(concat(' ', @class, ' '), ' group ')][1]")


def name_of_recipe(form: Locator) -> Locator:
    """The field that holds the recipe's name; candidates and deployments have a Name, too."""
    return group_of(form, "recipe").get_by_label("Name", exact=True).first


def fill_every(form: Locator, values: dict[str, str]) -> None:
    """Give every candidate the same values."""
    for label, value in values.items():
        for field in form.get_by_label(f"{label} (Optional)", exact=True).all():
            field.fill(value)


# Prefect: runs


def await_end(page: Page, prefect: str, name: str, *, limit_s: float) -> str:
    """Watch a run on the page Runs until it has ended; returns the name of its state."""
    page.goto(f"{prefect}/runs")
    state = card_of_run(page, name).get_by_text(FINAL_STATE).first
    look_until(page, state, limit_s=limit_s)
    return state.inner_text().strip()


def open_run(page: Page, prefect: str, name: str) -> None:
    """Find a run on the page Runs and open it."""
    page.goto(f"{prefect}/runs")
    page.get_by_role("link", name=name, exact=True).first.click()
    page.get_by_role("tab", name="Subflow Runs").wait_for()


def open_scheduled_run(page: Page, prefect: str, *, state: str, limit_s: float) -> None:
    """Watch the page Runs until a run that a schedule started is in a state, and open that run."""
    page.goto(f"{prefect}/runs")
    badge = page.get_by_text(state, exact=True)
    card = page.locator(RUN_CARD).filter(has=badge).filter(has_text="auto-scheduled").first
    look_until(page, card, limit_s=limit_s)
    card.locator(RUN_LINK).first.click()
    page.get_by_role("tab", name="Subflow Runs").wait_for()


def card_of_run(page: Page, name: str) -> Locator:
    """The card of a run in a list of runs."""
    return page.locator(RUN_CARD).filter(has=page.get_by_role("link", name=name, exact=True)).first


def look_until(page: Page, wanted: Locator, *, limit_s: float) -> None:
    """Look at a page, reloading it now and then, until it shows something."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        with contextlib.suppress(NotInTime):
            return wanted.wait_for(timeout=RELOAD_MS)
        with contextlib.suppress(NotInTime):
            page.reload(wait_until="commit")
    raise AssertionError(f"{page.url} does not show {wanted} after {limit_s:g} s")


def open_artifact(page: Page, key: str) -> None:
    """Open an artifact of the run that the page shows: its card, then its newest version."""
    page.get_by_role("tab", name="Artifacts").click()
    artifact_card(page, key).click()
    page.locator("a[href^='/v2/artifacts/artifact/']").first.click()
    page.get_by_role("tab", name="Raw").or_(page.get_by_role("link", name="Raw")).first.wait_for()


def artifact_card(page: Page, key: str) -> Locator:
    """The card of an artifact among those of a run."""
    return page.locator(f"a[href$='/artifacts/key/{key}']").first


# MLflow


def close_promotions(page: Page) -> None:
    """Have MLflow's announcements closed whenever they cover the page."""
    news = page.get_by_role("button", name="Try it now")
    page.add_locator_handler(news, news.click)


def close_assistant(page: Page) -> None:
    """Close the assistant that MLflow opens beside its first page."""
    press(page, "Close")


def open_models(page: Page, mlflow: str) -> None:
    """Open the list of registered models; from another page of MLflow, changing the fragment alone leads elsewhere."""
    page.goto("about:blank")
    page.goto(f"{mlflow}/#/models")


def metric_of(page: Page, name: str) -> float:
    """The value of a metric on the overview of an MLflow run."""
    row = page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))
    return float(row.inner_text().split()[-1])


def open_plot(page: Page, name: str) -> tuple[int, int]:
    """Open a picture among the artifacts of an MLflow run; returns its width and height in pixels."""
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("report", exact=True).first.click()
    page.get_by_text(name, exact=True).click()
    picture = page.locator("img[src^='blob:']").first
    picture.wait_for()
    return tuple(picture.evaluate("picture => [picture.naturalWidth, picture.naturalHeight]"))
