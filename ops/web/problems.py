"""Errors as the HTTP API tells them: problem details (RFC 9457) with the sentence of the command line."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ops.scenarios import RefusedScenario
from schemas.errors import (
    InvalidFile,
    InvalidMessage,
    InvalidSettings,
    NotFound,
    RefusedTrigger,
    RiskflowError,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"

log = structlog.get_logger(__name__)


class NotAllowed(RiskflowError):  # noqa: N818 - named by what is wrong, as all errors
    """The caller's role may not do or see it."""


class NotLoggedIn(RiskflowError):  # noqa: N818
    """Nobody is known to ask."""


class Problem(BaseModel):
    """An error: `detail` is the sentence that the command line says."""

    title: str
    status: int
    detail: str


STATUS_OF: dict[type[RiskflowError], HTTPStatus] = {
    NotLoggedIn: HTTPStatus.UNAUTHORIZED,
    NotAllowed: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    InvalidMessage: HTTPStatus.UNPROCESSABLE_ENTITY,
    RefusedTrigger: HTTPStatus.UNPROCESSABLE_ENTITY,
    RefusedScenario: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    InvalidSettings: HTTPStatus.INTERNAL_SERVER_ERROR,
    InvalidFile: HTTPStatus.INTERNAL_SERVER_ERROR,
    # What is left asks for something that the present state forbids, such as cancelling an ended job.
    RiskflowError: HTTPStatus.CONFLICT,
}
"""The first class in an error's ancestry that stands here decides."""


def problem(status: HTTPStatus | int, detail: str) -> Response:
    """An error as the API answers it."""
    known = HTTPStatus(status)
    body = Problem(title=known.phrase, status=known.value, detail=detail)
    headers = {"WWW-Authenticate": "Bearer"} if known is HTTPStatus.UNAUTHORIZED else {}
    return Response(orjson.dumps(body.model_dump()), known, headers, MEDIA_TYPE)


def tell_problems(app: FastAPI) -> None:
    """Have every error of the application answered as a problem."""
    app.add_exception_handler(RiskflowError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What is wrong, in one sentence",
        "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
    }
}
"""For the description of every operation."""


async def _told(_request: Request, error: Exception) -> Response:
    status = next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)
    return problem(status, str(error))


async def _invalid(_request: Request, error: Exception) -> Response:
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    sentences = [f"{_place(fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}" for fault in faults]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(sentences))


def _place(loc: tuple[str | int, ...]) -> str:
    """The name of a parameter or field, without where FastAPI has it from."""
    return ".".join(map(str, loc[1:])) or str(loc[0])


async def _http(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    detail = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = "there is no such address; /api/openapi.json describes those there are"
    return problem(error.status_code, detail)


async def _fault(request: Request, error: Exception) -> Response:
    log.error("request not answered", path=request.url.path, exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of riskflow; its log has the details")
