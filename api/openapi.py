"""The OpenAPI document: what the framework derives, with errors said as they are answered, and ways to go on.

It knows the answers' schemas and where ids stand in them; of routes it knows only what the document itself says.
"""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.errors import MEDIA_TYPE, STATUSES
from api.schemas.responses import JobEvent, Problem

_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_PROBLEM = {"description": "What went wrong, with a stable code.", "content": _CONTENT}
_FRAMEWORKS_OWN = ("HTTPValidationError", "ValidationError")

_QUOTA_HEADERS = {
    "RateLimit": 'What is left, and for how many seconds: `"requests";r=12;t=30`.',
    "RateLimit-Policy": 'How much there is, and in how many seconds: `"requests";q=1200;w=60`.',
}
_HEADERS: Mapping[HTTPStatus, Mapping[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "That a key is asked for, and what is wrong with the one shown."},
    HTTPStatus.FORBIDDEN: {"WWW-Authenticate": "Which scopes would do."},
    HTTPStatus.CONFLICT: {"Retry-After": "With `idempotency_in_flight`: seconds after which to ask again."},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": "Seconds after which to ask again.", **_QUOTA_HEADERS},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "Seconds after which to ask again."},
}

_IDS: Mapping[str, Mapping[str, str]] = {
    "Job": {"job_id": "/id"},
    "Concept": {"reference": "/id"},
    "ImportedConcept": {"reference": "/id"},
    "ConceptAndJob": {"reference": "/concept/id", "job_id": "/job/id"},
    "MintedKey": {"key_id": "/key/id"},
    "WebhookAndSecret": {"webhook_id": "/webhook/id"},
    "Delivery": {"delivery_id": "/id"},
}
"""By an answer's schema: parameters of paths that its ids stand for."""


def install(app: FastAPI) -> None:
    """Have the application describe itself; the document is made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the framework's own way to replace it


def _document(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = made["components"]["schemas"]
    for name in _FRAMEWORKS_OWN:
        schemas.pop(name, None)
    schemas |= {kind.__name__: kind.model_json_schema() for kind in (Problem, JobEvent)}
    made["components"]["responses"] = {status.name.title().replace("_", ""): _refusal(status) for status in _refusals()}
    for path, method, operation in _operations(made):
        _never_null(schemas, operation)
        operation["responses"].pop("422", None)
        operation["responses"] |= _refused(path, method, operation) | {"4XX": _PROBLEM, "5XX": _PROBLEM}
        # Any one of a route's scopes is enough; within one entry all would be needed.
        for needed in operation.pop("security", ()):
            operation["security"] = [{name: [scope]} for name, scopes in needed.items() for scope in scopes]
    _link(made)
    return made


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, by_method in document["paths"].items():
        for method, operation in by_method.items():
            yield path, method, operation


def _never_null(schemas: Mapping[str, Any], operation: Mapping[str, Any]) -> None:
    """A form says nothing by leaving a field out: null would be sent as a word."""
    form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
    if form is None:
        return
    for field in schemas[form["schema"]["$ref"].rpartition("/")[2]]["properties"].values():
        kinds = [kind for kind in field.pop("anyOf", ()) if kind != {"type": "null"}]
        field.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})


def _refusals() -> list[HTTPStatus]:
    """The statuses of what goes wrong on a client's side, or passes; of other bugs there is nothing to tell."""
    return sorted({*STATUSES.values(), HTTPStatus.BAD_REQUEST} - {HTTPStatus.INTERNAL_SERVER_ERROR})


def _refusal(status: HTTPStatus) -> dict[str, Any]:
    own = {f"`{error.code}`" for error, its_status in STATUSES.items() if its_status == status}
    codes = ", ".join(sorted(own)) or "`malformed_body`"
    headers = {
        name: {"description": sentence, "schema": {"type": "string"}}
        for name, sentence in _HEADERS.get(status, {}).items()
    }
    described: dict[str, Any] = {"description": f"{status.phrase}. Codes: {codes}.", "content": _CONTENT}
    return described | ({"headers": headers} if headers else {})


def _refused(path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    """What may be answered instead, by what an operation takes and changes."""
    protected, has_body, changes = "security" in operation, "requestBody" in operation, method != "get"
    possible = {
        HTTPStatus.UNAUTHORIZED: protected,
        HTTPStatus.FORBIDDEN: protected,
        HTTPStatus.TOO_MANY_REQUESTS: protected,
        HTTPStatus.NOT_FOUND: "{" in path,
        HTTPStatus.BAD_REQUEST: has_body,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: has_body,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: has_body and "multipart/form-data" in operation["requestBody"]["content"],
        HTTPStatus.CONFLICT: protected and changes,
        HTTPStatus.UNPROCESSABLE_ENTITY: has_body or "parameters" in operation,
        HTTPStatus.SERVICE_UNAVAILABLE: path != "/health/live",
    }
    return {
        str(status.value): {"$ref": f"#/components/responses/{status.name.title().replace('_', '')}"}
        for status, may_be in possible.items()
        if may_be
    }


def _link(document: Mapping[str, Any]) -> None:
    """Say of everything that an operation makes which operations go on from it."""
    for path, method, operation in _operations(document):
        if method != "post":
            continue
        known = {name: f"$request.path.{name}" for name in _parameters(path)}
        for response in operation["responses"].values():
            schema = response.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
            made = {
                name: f"$response.body#{pointer}" for name, pointer in _IDS.get(schema.rpartition("/")[2], {}).items()
            }
            if links := _links(document, known | made, made):
                response["links"] = links


def _links(document: Mapping[str, Any], known: Mapping[str, str], made: Mapping[str, str]) -> dict[str, Any]:
    return {
        operation["operationId"]: {
            "operationId": operation["operationId"],
            "parameters": {name: known[name] for name in _parameters(path)},
        }
        for path, _, operation in _operations(document)
        if _parameters(path) & made.keys() and _parameters(path) <= known.keys()
    }


def _parameters(path: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", path))
