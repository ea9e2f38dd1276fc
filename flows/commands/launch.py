"""Runs the flow from a command line: with a server, a log and progress around it, and a clean end whatever happens."""

import contextlib
import dataclasses
import importlib
import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console

from flows.commands.console import showing_progress
from flows.commands.failures import stopping_on_sigterm
from flows.place.parts import HEARTBEAT_S
from flows.place.run_log import logging_run
from flows.place.services import PrefectServer, prefect_server
from flows.recipes.recipe_file import locate_recipe, read_table
from tasks.errors import InputError, ServiceError, quoted

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State
    from prefect.flows import Flow

    from flows.backtest import Backtest
    from flows.outcome import Outcome
    from tasks.contract.services import Predicted


logger = logging.getLogger(__name__)

# In the order in which stages wait for them.
NEEDED_LATER = ("sklearn.linear_model", "torch", "torch._dynamo", "matplotlib.figure")

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the user asked to train."""

    recipe: str
    settings: tuple[str, ...] = ()
    from_file: str | None = None
    resume: bool = False
    refresh: bool = False
    warm_start: bool = False
    debug: bool = False


def launch_training(order: Order) -> "Outcome":
    """Run the flow `train` to its end; progress goes to stderr, nothing to stdout.

    Raises RnnflowError of any kind, KeyboardInterrupt, Terminated.
    """
    from tasks.promotion.destination import check_address

    check_address()

    def load() -> "Flow[..., Outcome]":
        from flows.train import train

        return train

    notes: list[str] = []
    outcome = _launch(order, load, notes, warm_start=order.warm_start)
    return dataclasses.replace(outcome, warnings=[*notes, *outcome.warnings])


def launch_backtest(order: Order, cutoffs: int) -> "Backtest":
    """Run the flow `backtest` to its end, as `launch_training` does.

    Raises also InputError (E-CFG-008) for a recipe that forecasts nothing.
    """
    from tasks.kinds import DEFAULT

    kind = read_table(locate_recipe(order.recipe)).get("kind", DEFAULT)
    if kind != "forecast":
        raise InputError(
            "E-CFG-008",
            f'kind: got {quoted(kind)}, expected "forecast": only forecasts have cut-offs in time.',
            fix="choose a forecasting recipe.",
            file=locate_recipe(order.recipe),
        )

    def load() -> "Flow[..., Backtest]":
        from flows.backtest import backtest

        return backtest

    return _launch(order, load, [], cutoffs=cutoffs)


def _launch(order: Order, load: "Callable[[], Flow[..., Result]]", notes: list[str], **parameters: object) -> Result:
    """Run a flow on the order's recipe; to `notes` is added which of its values have no effect.

    What can be known to be wrong is told first.
    """
    from flows.recipes.first_look import refuse_unreadable
    from flows.recipes.recipe import build_recipe

    path = locate_recipe(order.recipe)
    recipe = build_recipe(path, read_table(path), settings=order.settings, from_file=order.from_file, notes=notes)
    refuse_unreadable(recipe)
    console = Console(stderr=True)
    with stopping_on_sigterm(), logging_run(path.stem, console, verbose=order.debug):
        return run_on_server(
            load, console, notes, recipe=recipe, resume=order.resume, refresh=order.refresh, **parameters
        )


def run_on_server(
    load: "Callable[[], Flow[..., Result]]", console: Console, notes: Sequence[str] = (), **parameters: object
) -> Result:
    """Run a flow on a Prefect server that lives for it, or one that is up; the flow is loaded while the server starts.

    Raises RnnflowError of any kind.
    """
    with contextlib.ExitStack() as stack:
        with console.status("Starting the Prefect server"):
            server = stack.enter_context(prefect_server())
            for note in notes:
                logger.warning("%s", note)
            # Imported while the server starts; these import Prefect, which reads its settings at once.
            from flows.tidy import tidy_up

            main_flow = load()
            _import_ahead(server)
            server.wait_until_ready()
            stack.enter_context(_settings_of(server))
            tidy_up()
        console.print(f"Watch this run at {server.dashboard}", style="dim", markup=False)
        with _flow_of(server, main_flow) as flow, showing_progress(console):
            return flow(**parameters)


def _import_ahead(server: PrefectServer) -> None:
    """Import what stages will need, for as long as the server starts and leaves a processor idle."""
    from tasks.tracking.mlflow_client import load_mlflow

    for load in (load_mlflow, *(partial(importlib.import_module, name) for name in NEEDED_LATER)):
        if server.is_ready():
            return
        load()


def launch_prediction(
    model: str,
    input_path: Path,
    output_path: Path,
    *,
    settings: Sequence[str],
    debug: bool,
    **options: object,
) -> "Predicted":
    """Predict from a file, with progress on stderr; `options` are those of `predict_file`.

    `settings` are assignments such as `source.encoding=utf-8`.

    Raises RnnflowError of any kind, KeyboardInterrupt, Terminated.
    """
    console = Console(stderr=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(stopping_on_sigterm())
        stack.enter_context(logging_run("predict", console, verbose=debug))
        from tasks.prediction.dispatch import predict_file

        if settings:  # the kinds of recipes take a second to import
            from flows.recipes.changed_source import change_source

            options["source"] = change_source(model, settings)
        stack.enter_context(showing_progress(console))
        return predict_file(model, input_path, output_path, **options)


@contextlib.contextmanager
def _settings_of(server: PrefectServer) -> "Generator[None]":
    """Have Prefect ask this server, though it may have been imported while an earlier one was up.

    Heartbeats tell a lasting server that this process lives; on one that ends with the command nobody listens, and
    their thread takes a second to end.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    heartbeat_s = None if server.own else HEARTBEAT_S
    with temporary_settings({PREFECT_API_URL: server.url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: heartbeat_s}):
        yield


@contextlib.contextmanager
def _flow_of(server: PrefectServer, flow: "Flow[..., Result]") -> "Generator[Flow[..., Result]]":
    """Lend a flow that runs on this server, and let it be recorded to its end."""
    import httpx

    flow_run_ids: list[str] = []

    def remember(flow: "Flow", flow_run: "FlowRun", state: "State") -> None:  # noqa: ARG001 (Prefect's names)
        flow_run_ids.append(str(flow_run.id))

    try:
        yield flow.with_options(on_running=[*flow.on_running_hooks, remember])
    except httpx.TransportError as error:
        raise ServiceError(
            "E-SVC-005",
            f"the Prefect server at {server.url} stopped answering: {quoted(error)}.",
            fix="run the same command again: finished stages are kept.",
        ) from error
    finally:
        for flow_run_id in flow_run_ids:
            server.wait_until_recorded(flow_run_id)
