"""Error responses: `application/problem+json` (RFC 9457) with a stable code; the HTTP status of each error.

The error trees of the service and the algorithm provide code, message and details. Input of the request is never
repeated, except the names that the errors themselves carry.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from api.validation_sentences import sentence
from dti import errors as dti
from service import correlation
from service import errors as service

MEDIA_TYPE = "application/problem+json"

STATUSES: Mapping[type[service.ServiceError | dti.DTIError], HTTPStatus] = {
    service.ServiceError: HTTPStatus.INTERNAL_SERVER_ERROR,
    service.InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    service.UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    service.KeyMissingError: HTTPStatus.UNAUTHORIZED,
    service.KeyMalformedError: HTTPStatus.UNAUTHORIZED,
    service.KeyUnknownError: HTTPStatus.UNAUTHORIZED,
    service.KeyExpiredError: HTTPStatus.UNAUTHORIZED,
    service.KeyRevokedError: HTTPStatus.UNAUTHORIZED,
    service.ScopeMissingError: HTTPStatus.FORBIDDEN,
    service.NotFoundError: HTTPStatus.NOT_FOUND,
    service.ConflictError: HTTPStatus.CONFLICT,
    service.NameTakenError: HTTPStatus.CONFLICT,
    service.ConceptNotReadyError: HTTPStatus.CONFLICT,
    service.ModelMismatchError: HTTPStatus.CONFLICT,
    service.EmbeddingsDifferError: HTTPStatus.CONFLICT,
    service.ConceptWithoutPicturesError: HTTPStatus.CONFLICT,
    service.ConceptDeletedError: HTTPStatus.CONFLICT,
    service.StorageQuotaExceededError: HTTPStatus.CONFLICT,
    service.JobCancelledError: HTTPStatus.CONFLICT,
    service.JobNotFailedError: HTTPStatus.CONFLICT,
    service.JobEndedError: HTTPStatus.CONFLICT,
    service.JobUnfinishedError: HTTPStatus.CONFLICT,
    service.ConceptInTrainingError: HTTPStatus.CONFLICT,
    service.IdempotencyInFlightError: HTTPStatus.CONFLICT,
    service.TooManyWebhooksError: HTTPStatus.CONFLICT,
    service.IdempotencyKeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    service.UnprocessableError: HTTPStatus.UNPROCESSABLE_ENTITY,
    service.UnknownConceptError: HTTPStatus.UNPROCESSABLE_ENTITY,
    service.UnknownModelError: HTTPStatus.UNPROCESSABLE_ENTITY,
    service.UnknownSchedulerError: HTTPStatus.UNPROCESSABLE_ENTITY,
    service.PromptTooLongError: HTTPStatus.UNPROCESSABLE_ENTITY,
    service.ImageUnreadableError: HTTPStatus.UNPROCESSABLE_ENTITY,
    service.ImageRefusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    service.OutputRefusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    service.ImageTooLargeError: HTTPStatus.UNPROCESSABLE_ENTITY,
    service.ImageTooSmallError: HTTPStatus.UNPROCESSABLE_ENTITY,
    service.ImageUnsupportedError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    service.BodyTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    service.QuotaError: HTTPStatus.TOO_MANY_REQUESTS,
    service.TooManyRequestsError: HTTPStatus.TOO_MANY_REQUESTS,
    service.TooManyJobsError: HTTPStatus.TOO_MANY_REQUESTS,
    service.TooManyStreamsError: HTTPStatus.TOO_MANY_REQUESTS,
    service.DeviceQuotaExceededError: HTTPStatus.TOO_MANY_REQUESTS,
    service.RpcFailedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    service.JobTimeoutError: HTTPStatus.SERVICE_UNAVAILABLE,
    service.LeaseLostError: HTTPStatus.INTERNAL_SERVER_ERROR,
    service.BucketForeignError: HTTPStatus.INTERNAL_SERVER_ERROR,
    service.DowngradeImpossibleError: HTTPStatus.SERVICE_UNAVAILABLE,
    service.SchemaRevisionError: HTTPStatus.SERVICE_UNAVAILABLE,
    service.SettingsError: HTTPStatus.INTERNAL_SERVER_ERROR,
    service.ObjectMissingError: HTTPStatus.NOT_FOUND,
    service.UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    service.DatabaseUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    service.StorageUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    service.WorkerUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    dti.DTIError: HTTPStatus.INTERNAL_SERVER_ERROR,
    dti.InvalidSettingError: HTTPStatus.UNPROCESSABLE_ENTITY,
    dti.PromptError: HTTPStatus.UNPROCESSABLE_ENTITY,
    dti.PromptTooLongError: HTTPStatus.UNPROCESSABLE_ENTITY,
    dti.UnknownTriggerError: HTTPStatus.UNPROCESSABLE_ENTITY,
    dti.PictureError: HTTPStatus.UNPROCESSABLE_ENTITY,
    dti.NoPicturesError: HTTPStatus.UNPROCESSABLE_ENTITY,
    dti.EmbeddingError: HTTPStatus.UNPROCESSABLE_ENTITY,
    dti.EmbeddingFormatError: HTTPStatus.UNPROCESSABLE_ENTITY,
    dti.EmbeddingMismatchError: HTTPStatus.UNPROCESSABLE_ENTITY,
    dti.ModelError: HTTPStatus.INTERNAL_SERVER_ERROR,
    dti.ModelUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    dti.ModelTooLargeError: HTTPStatus.SERVICE_UNAVAILABLE,
    dti.UnknownSchedulerError: HTTPStatus.UNPROCESSABLE_ENTITY,
    dti.StudyError: HTTPStatus.UNPROCESSABLE_ENTITY,
    dti.TrainingDivergedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    dti.RenderingDivergedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    dti.CheckpointError: HTTPStatus.UNPROCESSABLE_ENTITY,
}

_RPC_STATUSES: Mapping[str, HTTPStatus] = {
    **{error.code: status for error, status in STATUSES.items()},
    "out_of_memory": HTTPStatus.SERVICE_UNAVAILABLE,
    "worker_lost": HTTPStatus.SERVICE_UNAVAILABLE,
    "device_lost": HTTPStatus.SERVICE_UNAVAILABLE,
    "step_timeout": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""By the error code of an RPC that has failed in a worker."""

_CODES: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "malformed_body",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: service.BodyTooLargeError.code,
}
"""Codes of the framework's own errors, where they are not the name of the status."""

_RETRY_AFTER_S = "5"
_IN_FLIGHT_S = "1"
_CHALLENGE = 'Bearer realm="dti"'
_FIELD_LIMIT = 200
_UNION_TAG = re.compile(r"literal\[|constrained-|function-")
"""Parts of a location that pydantic adds for a branch of a union."""
_TEXT_LIMIT = 2000
_FIELD_ERRORS_LIMIT = 20
"""A large body may be wrong in every field; the response stays small."""

_NOT_JSON = "The body is not JSON. Send valid JSON in UTF-8."
_FRAMEWORK_NOT_JSON = "There was an error parsing the body"
"""FastAPI's sentence for a body that its parser cannot read: not UTF-8, too deep, or a number of too many digits."""

_log = logging.getLogger(__name__)


class ProblemResponse(JSONResponse):
    """A problem; it leaves its code in the request's state, for the request's line and metrics."""

    def __init__(self, body: object, status: int, headers: Mapping[str, str] | None, code: str) -> None:
        super().__init__(body, status, headers, media_type=MEDIA_TYPE)
        self._code = code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        scope.setdefault("state", {})["code"] = self._code
        await super().__call__(scope, receive, send)


def problem(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **more: object
) -> JSONResponse:
    """A problem response; `more` are members that belong to the code, such as the names it is about."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail}
    return ProblemResponse(_printable({**body, **more}), status, headers, code)


def install(app: FastAPI) -> None:
    """Install the exception handlers: every error becomes a problem response."""
    app.exception_handler(service.ServiceError)(_on_own_error)
    app.exception_handler(dti.DTIError)(_on_own_error)
    app.exception_handler(RequestValidationError)(_on_invalid_request)
    app.exception_handler(HTTPException)(_on_http)
    app.exception_handler(Exception)(_on_bug)


def error_response(error: service.ServiceError | dti.DTIError) -> JSONResponse:
    """The problem response of an error of the service or the algorithm."""
    status = _RPC_STATUSES.get(error.code) if isinstance(error, service.RpcFailedError) else None
    status = status or STATUSES[type(error)]
    return problem(status, error.code, str(error), _headers(status, error), **error.details())


async def _on_own_error(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, service.ServiceError | dti.DTIError):
        raise TypeError(f"{error!r} is not an error of the service or the algorithm.")
    return error_response(error)


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    """List field and message of each error, never the value: it may be unfit for JSON."""
    errors = error.errors() if isinstance(error, RequestValidationError) else ()
    if any(_is_malformed_body(item) for item in errors):
        return problem(HTTPStatus.BAD_REQUEST, "malformed_body", _NOT_JSON)
    wrong = [
        {"field": _field(item["loc"]), "message": sentence(request.scope.get("route"), item)}
        for item in errors[:_FIELD_ERRORS_LIMIT]
    ]
    detail = "; ".join(f"{item['field'] or 'body'}: {item['message']}" for item in wrong)
    if any(not item["field"] for item in wrong):
        detail += _expected_type(request)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, service.InvalidInputError.code, detail, errors=wrong)


def _expected_type(request: Request) -> str:
    """The remedy for a body that is no object because of its type: curl's -d alone declares a form."""
    given = request.headers.get("content-type", "").partition(";")[0].strip()
    if given == "application/json":
        return ""
    declared = f"is {given}" if given else "is missing"
    return f" The header Content-Type {declared}: send application/json."


# `Any`: pydantic describes an error by an untyped dictionary.
def _is_malformed_body(error: Mapping[str, Any]) -> bool:
    """Whether the whole body is not JSON; in a form, a field that is not JSON is a wrong field."""
    return error["type"] == "json_invalid" and isinstance(error["loc"][-1], int)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    """Errors of the framework: unknown route, wrong method, a body that is not a form."""
    if not isinstance(error, HTTPException):
        raise TypeError(f"{error!r} is not an HTTPException.")
    status = HTTPStatus(error.status_code)
    headers = _allowed(request) if status == HTTPStatus.METHOD_NOT_ALLOWED else error.headers
    detail = _NOT_JSON if error.detail == _FRAMEWORK_NOT_JSON else str(error.detail)
    return problem(status, _CODES.get(status, status.name.lower()), detail, headers)


def _allowed(request: Request) -> dict[str, str]:
    """The methods of all routes at a path; the framework itself names those of the first one only."""
    fitting = (route for route in request.app.routes if route.matches(request.scope)[0] != Match.NONE)
    methods = {method for route in fitting for method in getattr(route, "methods", None) or ()}
    return {"Allow": ", ".join(sorted(methods))}


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    """The response to a bug; it is made outside of all middleware, which could not add the request's id."""
    request_id = getattr(request.state, "request_id", "")
    with correlation.bound(request=request_id):
        _log.error("A request failed: %s", type(error).__name__)
    headers = {"X-Request-ID": request_id}
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Internal error; it was logged.", headers)


def _headers(status: HTTPStatus, error: Exception) -> dict[str, str]:
    if isinstance(error, service.QuotaError):
        return _quota_headers(error)
    if isinstance(error, service.ScopeMissingError):
        return {"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{" ".join(error.scopes)}"'}
    if isinstance(error, service.UnauthenticatedError):
        wrong = "" if isinstance(error, service.KeyMissingError) else ', error="invalid_token"'
        return {"WWW-Authenticate": f"{_CHALLENGE}{wrong}"}
    if isinstance(error, service.IdempotencyInFlightError):
        return {"Retry-After": _IN_FLIGHT_S}
    return {"Retry-After": _RETRY_AFTER_S} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}


def _quota_headers(error: service.QuotaError) -> dict[str, str]:
    """Retry time and exceeded quota (draft-ietf-httpapi-ratelimit-headers-10)."""
    window = "" if error.window_s is None else f";w={error.window_s}"
    return {
        "Retry-After": str(error.retry_after_s),
        "RateLimit-Policy": f'"{error.policy}";q={error.limit}{window}',
        "RateLimit": f'"{error.policy}";r=0;t={error.retry_after_s}',
    }


def _field(location: Iterable[int | str]) -> str:
    """The path of a field within the body, the query or the path: "training.steps"; without pydantic's union tags."""
    _, *rest = location
    parts = [str(part) for part in rest]
    return ".".join(part for part in parts if not _UNION_TAG.match(part))[:_FIELD_LIMIT]


def _printable(value: Any) -> Any:  # noqa: ANN401 - JSON holds anything
    """The same with long texts truncated, and lone surrogates replaced: they have no UTF-8 form."""
    if isinstance(value, str):
        text = value if len(value) <= _TEXT_LIMIT else f"{value[:_TEXT_LIMIT]}…"
        return text.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value
