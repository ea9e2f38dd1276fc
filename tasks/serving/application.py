"""The REST service: its addresses, their answers and its background tasks."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from tasks.contract.interface import Address, BodyT, Interface, ModelState, RequestError
from tasks.serving.admission import Admission
from tasks.serving.answers import INTERNAL_ERROR, Answerer, ErrorAnswer, ReadyAnswer
from tasks.serving.batching import MicroBatcher
from tasks.serving.bodies import read_body, refuse, respond
from tasks.serving.champion import ModelFollower
from tasks.serving.questions import parse_question
from tasks.serving.seen_inputs import SeenInputs
from tasks.serving.settings import ServingSettings
from tasks.serving.streaming import CLIENT_GONE, StreamAnswerer

REFUSALS = {
    400: "The body is not strict JSON.",
    401: "The bearer token is missing or wrong.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is not announced as JSON.",
    422: "A field is missing, unknown, of the wrong type, over a cap, or cannot be answered by the model.",
    503: "Too many requests at once; retry after the number of seconds in Retry-After.",
}
UNKNOWN = {404: "this address does not exist.", 405: "this address does not accept this method."}
REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": text} for status, text in REFUSALS.items()
}
REFERENCE = "#/components/schemas/{model}"


def create_application(follower: ModelFollower, settings: ServingSettings, *, token: str = "") -> Admission:
    """Build the service around a loaded model; with a token, every address but `/health` requires it."""
    seen = SeenInputs()
    batcher = MicroBatcher(Answerer(follower=follower, seen=seen, caps=settings), max_items=settings.batch_items)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        async with batcher.running():
            periodic = (follower.follow(settings.poll_s), _flush(seen, settings.flush_s))
            background = [asyncio.create_task(work) for work in periodic]
            yield
            for task in background:
                task.cancel()
        seen.flush()

    interface = follower.current.module.INTERFACE
    description = f"{interface.purpose} with the champion of the registry, and follows its changes."
    app = FastAPI(title="rnnflow", description=description, lifespan=lifespan)
    app.add_exception_handler(HTTPException, _answer_unknown_address)
    _add_predictions(app, interface, batcher, settings)
    for address in interface.streams:
        _add_stream(app, StreamAnswerer(address=address, follower=follower, batcher=batcher, settings=settings))
    _gather_parts(app)
    _add_state(app, follower, settings)
    return Admission(app, token, settings.max_requests)


def _add_predictions(app: FastAPI, address: Interface, batcher: MicroBatcher[Any], settings: ServingSettings) -> None:
    @app.post(
        "/v1/predict",
        responses={200: {"model": address.answer}, **REFUSED},
        openapi_extra=_describe_body(address),
        summary=address.summary,
        description=address.description,
    )
    async def predict(request: Request) -> Response:
        """Answer a question."""
        return await _respond_to(request, address, settings, batcher.submit)


def _add_stream(app: FastAPI, answerer: StreamAnswerer) -> None:
    address = answerer.address
    events = {"schema": address.piece.model_json_schema(ref_template=REFERENCE), "example": address.events}
    answered = {"model": address.answer, "content": {"text/event-stream": events}}

    @app.post(
        address.path,
        responses={200: answered, **REFUSED},
        openapi_extra=_describe_body(address),
        summary=address.summary,
        description=address.description,
    )
    async def answer(request: Request) -> Response:
        """Carry out an order, in pieces or as a whole."""
        return await _respond_to(request, address, answerer.settings, partial(answerer.answer, request))


def _describe_body(address: Address[Any]) -> dict[str, Any]:
    schema = address.question.model_json_schema(ref_template=REFERENCE)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def _respond_to(
    request: Request,
    address: Address[BodyT],
    settings: ServingSettings,
    answer: Callable[[BodyT], Awaitable[Response]],
) -> Response:
    """Read a request's body and answer it, or say why not."""
    try:
        body = await read_body(request, settings, items=address.items)
    except RequestError as error:
        return refuse(error)
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    try:
        return await answer(parse_question(address, body, settings))
    except RequestError as error:
        return respond(error)
    except Exception:  # noqa: BLE001 (logged where it happened; a client gets no traceback)
        return respond(INTERNAL_ERROR)


def _gather_parts(app: FastAPI) -> None:
    """Put the schemas that bodies are made of where the references of the OpenAPI page point."""
    describe = app.openapi

    def describe_with_parts() -> dict[str, Any]:
        page = describe()
        for path in page["paths"].values():
            for schema in _schemas_in(path):
                page["components"]["schemas"] = schema.pop("$defs", {}) | page["components"]["schemas"]
        return page

    app.openapi = describe_with_parts


def _schemas_in(path: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for method in path.values():
        for message in (method.get("requestBody", {}), *method["responses"].values()):
            for content in message.get("content", {}).values():
                yield content["schema"]


def _add_state(app: FastAPI, follower: ModelFollower, settings: ServingSettings) -> None:
    @app.get("/health", summary="Is the process alive?")
    async def health() -> dict[str, str]:
        """Answer as long as the process does."""
        return {"status": "alive"}

    @app.get("/ready", summary="Does a model answer, and is it the current one?")
    async def ready() -> ReadyAnswer:
        """Say which version answers and, if it is not the newest, why."""
        status = "degraded" if follower.problem else "ready"
        return ReadyAnswer(status=status, model=follower.current.label, problem=follower.problem or None)

    state = follower.current.module.INTERFACE.state

    @app.get("/v1/model", summary="Which model answers?", response_model=state)
    async def model() -> ModelState:
        """Describe the version that answers, and the caps on requests."""
        served = follower.current
        return state(
            model=served.label,
            follows=str(follower.reference) if follower.reference.alias else None,
            loaded=served.loaded,
            limits={name: value for name, value in settings.model_dump().items() if name.startswith("max_")},
            **served.module.describe_model(served.model),
        )


async def _flush(seen: SeenInputs, period_s: float) -> None:
    while True:
        await asyncio.sleep(period_s)
        await asyncio.to_thread(seen.flush)


async def _answer_unknown_address(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    problem = UNKNOWN.get(error.status_code)
    if problem is None:
        return respond(INTERNAL_ERROR)
    headers = dict(error.headers or {})
    fix = "GET /openapi.json lists the addresses."
    return refuse(RequestError(None, problem, fix, "E-SRV-017", error.status_code, headers))
