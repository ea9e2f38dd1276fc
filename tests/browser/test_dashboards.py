"""A user's day, seen with eyes: start a run in Prefect's dashboard, inspect it in MLflow, schedule retraining.

One place and one tab serve all tests, in the order in which a person does these things.
"""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import pages
from tests.browser.project import Place, run_rnnflow, write_recipe
from tests.browser.screens import take_screen

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

RUN = "first-try"
# Pixels of the form of `train` while it showed every field of each kind.
HEIGHTS = {"Classify": 15_369, "Classify Series": 13_574, "Forecast": 18_372, "Detect": 19_572}
EVERY_MINUTE = "* * * * *"


@pytest.fixture(scope="module")
def run(page: Page, place: Place) -> str:
    """A run that was started by the form; returns the name of the state in which it ended."""
    pages.open_deployment(page, place.prefect, "train/tickets")
    form = pages.open_custom_run(page)
    pages.fill_every(form, {"Epochs": "1"})
    form.get_by_label("Run Name").fill(RUN)
    take_screen(page, "form", height=2650)
    pages.persist(lambda: pages.press(page, "Submit"), until=pages.deployment_page(page))
    return pages.await_end(page, place.prefect, RUN, limit_s=600)


def test_everything_that_can_be_started_is_in_the_list_of_deployments(page: Page, place: Place):
    page.goto(f"{place.prefect}/deployments")

    for name in ("fit", "predict", "tidy", "train"):
        expect(page.get_by_role("link", name=name, exact=True).first).to_be_visible()
    expect(page.get_by_role("link", name="tickets", exact=True)).to_have_count(4)

    take_screen(page, "deployments")


def test_wrong_values_are_refused_in_the_form_and_start_nothing(page: Page, place: Place):
    pages.open_deployment(page, place.prefect, "train/train")
    form = pages.open_custom_run(page)
    submit = page.get_by_role("button", name="Submit")

    pages.fill_every(form, {"Epochs": "0"})
    submit.click()

    refused = form.get_by_label("Epochs (Optional)").first
    assert refused.evaluate("field => field.validationMessage") == "Value must be greater than or equal to 1."

    pages.fill_every(form, {"Epochs": "1"})
    pages.name_of_recipe(form).fill("a name with spaces")
    submit.click()

    message = form.get_by_text("'a name with spaces' does not match")
    expect(message).to_be_visible()
    message.scroll_into_view_if_needed()
    take_screen(page, "refused")

    pages.name_of_recipe(form).fill("")
    submit.click()

    expect(form.get_by_text("'name' is a required property")).to_be_visible()
    pages.open_deployment(page, place.prefect, "train/train")
    expect(page.get_by_text("No runs found")).to_be_visible()


@pytest.mark.parametrize(("kind", "before"), HEIGHTS.items())
def test_a_form_is_at_most_a_third_as_high_as_one_of_all_fields(page: Page, place: Place, kind: str, before: int):
    pages.open_deployment(page, place.prefect, "train/train")
    form = pages.open_custom_run(page)
    form.get_by_role("tab", name=kind, exact=True).click()
    expect(form.get_by_text("Candidates (Optional)", exact=True)).to_be_visible()

    assert form.evaluate("form => form.scrollHeight") <= before / 3


def test_a_run_started_in_the_dashboard_completes_on_the_workers(page: Page, place: Place, run: str):
    assert run == "Completed"

    pages.open_run(page, place.prefect, RUN)
    take_screen(page, "run")
    page.get_by_role("tab", name="Task Runs").click()
    for stage in ("publish-", "evaluate-gru"):
        expect(page.get_by_text(stage).first).to_be_visible()
    for candidate in ("lstm", "gru"):
        assert pages.await_end(page, place.prefect, f"{RUN}-{candidate}", limit_s=60) == "Completed"
        expect(pages.card_of_run(page, f"{RUN}-{candidate}").get_by_text("gpu", exact=True)).to_be_visible()


def test_its_artifacts_say_what_came_out(page: Page, place: Place, run: str):
    pages.open_run(page, place.prefect, RUN)
    page.get_by_role("tab", name="Artifacts").click()

    expect(pages.artifact_card(page, "verdict")).to_contain_text("first: becomes champion")
    expect(pages.artifact_card(page, "summary")).to_contain_text("was registered as tickets version 1")
    pages.artifact_card(page, "verdict").scroll_into_view_if_needed()
    take_screen(page, "artifacts")

    pages.open_artifact(page, "results")

    for model in ("lstm", "gru", "tfidf-logistic"):
        expect(page.get_by_role("cell", name=model, exact=True)).to_be_visible()
    take_screen(page, "results")


def test_a_link_leads_from_the_run_to_its_metrics_and_plots_in_mlflow(page: Page, place: Place, run: str):
    pages.open_run(page, place.prefect, RUN)
    pages.open_artifact(page, "mlflow")
    page.get_by_role("link", name=f"{RUN} in MLflow").last.click()

    expect(page).to_have_url(re.compile(f"^{re.escape(place.mlflow)}/"))
    pages.close_assistant(page)
    expect(page.get_by_text("Finished", exact=True)).to_be_visible()
    assert 0 < pages.metric_of(page, "test/accuracy") <= 1
    expect(page.get_by_role("link", name="tickets", exact=True).last).to_be_visible()
    take_screen(page, "mlflow-run")

    width, height = pages.open_plot(page, "losses.png")

    assert min(width, height) > 300
    take_screen(page, "mlflow-plot")


def test_the_curves_of_each_candidate_are_in_a_run_of_its_own(page: Page, place: Place, run: str):
    page.get_by_role("tab", name="Overview").click()
    page.get_by_role("link", name="gru", exact=True).click()
    page.get_by_role("tab", name="Model metrics").click()

    for metric in ("clipped_share", "train_loss", "valid_accuracy"):  # the page shows the first six, by name
        expect(page.get_by_text(metric, exact=True)).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()


def test_the_registered_model_is_champion_in_mlflow(page: Page, place: Place, run: str):
    pages.open_models(page, place.mlflow)
    page.get_by_role("link", name="tickets", exact=True).last.click()

    expect(page.get_by_text("@ champion")).to_be_visible()
    page.get_by_role("link", name="Version 1").click()
    expect(page.get_by_text('load_model("models:/tickets@champion")')).to_be_visible()
    take_screen(page, "mlflow-model")
    page.get_by_role("link", name=RUN, exact=True).first.click()
    expect(page.get_by_text("Prefect flow run")).to_be_visible()


def test_one_click_trains_the_recipe_as_it_is_deployed(page: Page, place: Place, run: str):
    pages.open_deployment(page, place.prefect, "train/tickets")
    pages.start_quick_run(page)
    take_screen(page, "quick-run")

    ended = page.locator(pages.RUN_CARD).filter(has_not_text=RUN).filter(has_text="Completed").first
    pages.look_until(page, ended, limit_s=300)


def test_a_schedule_in_the_recipe_fires_and_finds_nothing_new(page: Page, place: Place, run: str):
    write_recipe(place.home / "tickets.toml", epochs=2, cron=EVERY_MINUTE)

    deployed = run_rnnflow("up", place.environment)["recipes"]["deployed"]

    assert [one["schedules"] for one in deployed] == [[f"{EVERY_MINUTE} Europe/Berlin"]]
    pages.open_deployment(page, place.prefect, "retrain/tickets")
    expect(page.get_by_text("Every minute").first).to_be_visible()
    take_screen(page, "schedule")
    pages.open_scheduled_run(page, place.prefect, state="Skipped", limit_s=240)
    page.get_by_role("tab", name="Details").click()
    expect(page.get_by_text(re.compile(r"skipped, champion v\d is current"))).to_be_visible()
    expect(page.get_by_text("auto-scheduled").first).to_be_visible()
    take_screen(page, "skipped")


def test_a_changed_recipe_is_deployed_again_and_its_paused_schedule_stays_paused(page: Page, place: Place, run: str):
    pages.open_deployment(page, place.prefect, "retrain/tickets")
    pages.switch_of_schedule(page).click()
    expect(pages.switch_of_schedule(page)).not_to_be_checked()
    write_recipe(place.home / "tickets.toml", epochs=3, cron=EVERY_MINUTE)

    deployed = run_rnnflow("up", place.environment)["recipes"]["deployed"]

    assert [one["schedules"] for one in deployed] == [[f"{EVERY_MINUTE} Europe/Berlin (paused)"]]
    pages.open_deployment(page, place.prefect, "retrain/tickets")
    expect(pages.switch_of_schedule(page)).not_to_be_checked()
    page.get_by_role("tab", name="Description").click()
    expect(page.get_by_text("epochs = 3")).to_be_visible()
