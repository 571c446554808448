"""The OpenAPI document: the framework's, completed by error responses and links between operations."""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.errors import MEDIA_TYPE, STATUSES
from api.openapi_examples import JsonObject, add_examples
from api.schemas.responses import JobEvent, Problem

_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_PROBLEM = {"description": "A problem, with a stable code.", "content": _CONTENT}
_FRAMEWORKS_OWN = ("HTTPValidationError", "ValidationError")

_SERVERS = [{"url": "/", "description": "This service."}]
_LICENCE = {"name": "Apache 2.0", "identifier": "Apache-2.0"}

_QUOTA_HEADERS = {
    "RateLimit": 'The remaining amount, and the seconds until it is reset: `"requests";r=12;t=30`.',
    "RateLimit-Policy": 'The limit, and its window in seconds: `"requests";q=1200;w=60`.',
}
_HEADERS: Mapping[HTTPStatus, Mapping[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "The authentication scheme, and the error of the key that was sent."},
    HTTPStatus.FORBIDDEN: {"WWW-Authenticate": "The sufficient scopes."},
    HTTPStatus.CONFLICT: {"Retry-After": "With `idempotency_in_flight`: seconds until a retry."},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": "Seconds until a retry.", **_QUOTA_HEADERS},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "Seconds until a retry."},
}

_IDS: Mapping[str, Mapping[str, str]] = {
    "Job": {"job_id": "/id"},
    "Concept": {"reference": "/id"},
    "ConceptWithWarnings": {"reference": "/id"},
    "ImportedConcept": {"reference": "/id"},
    "ConceptAndJob": {"reference": "/concept/id", "job_id": "/job/id"},
    "MintedKey": {"key_id": "/key/id"},
    "WebhookAndSecret": {"webhook_id": "/webhook/id"},
    "Delivery": {"delivery_id": "/id"},
}
"""By response schema: the path parameters that its ids can fill."""


def install(app: FastAPI) -> None:
    """Install the document; it is generated once, at the first request."""

    def document() -> JsonObject:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI) -> JsonObject:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=_SERVERS,
        license_info=_LICENCE,
    )
    schemas = document["components"]["schemas"]
    for name in _FRAMEWORKS_OWN:
        schemas.pop(name, None)
    schemas |= {kind.__name__: kind.model_json_schema() for kind in (Problem, JobEvent)}
    document["components"]["responses"] = {
        status.name.title().replace("_", ""): _error_response(status) for status in _error_statuses()
    }
    for path, method, operation in _operations(document):
        _remove_null(schemas, operation)
        operation["summary"] = operation["description"].partition("\n")[0].partition(". ")[0].rstrip(".")
        operation["responses"].pop("422", None)
        operation["responses"] |= _possible_errors(path, method, operation) | {"4XX": _PROBLEM, "5XX": _PROBLEM}
        # One of the route's scopes is enough; within one entry all would be required.
        for needed in operation.pop("security", ()):
            operation["security"] = [{name: [scope]} for name, scopes in needed.items() for scope in scopes]
    _mark_files(schemas)
    _link(document)
    add_examples(document)
    return document


def _mark_files(schemas: JsonObject) -> None:
    """Mark the files of forms as OpenAPI 3.0 does, too: without it, tools offer a text field and send text."""
    for schema in schemas.values():
        for field in schema.get("properties", {}).values():
            for part in (field, field.get("items", {}), *field.get("anyOf", ())):
                if "contentMediaType" in part and "contentSchema" not in part:
                    part["format"] = "binary"


def _operations(document: JsonObject) -> Iterator[tuple[str, str, JsonObject]]:
    for path, by_method in document["paths"].items():
        for method, operation in by_method.items():
            yield path, method, operation


def _remove_null(schemas: JsonObject, operation: JsonObject) -> None:
    """Remove null from the fields of a form: a client leaves the field out, and null would be sent as text."""
    form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
    if form is None:
        return
    for field in schemas[form["schema"]["$ref"].rpartition("/")[2]]["properties"].values():
        kinds = [kind for kind in field.pop("anyOf", ()) if kind != {"type": "null"}]
        field.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})


def _error_statuses() -> list[HTTPStatus]:
    """The statuses of errors that a client can correct or retry; internal errors are left out."""
    return sorted({*STATUSES.values(), HTTPStatus.BAD_REQUEST} - {HTTPStatus.INTERNAL_SERVER_ERROR})


def _error_response(status: HTTPStatus) -> JsonObject:
    own_codes = {f"`{error.code}`" for error, error_status in STATUSES.items() if error_status == status}
    codes = ", ".join(sorted(own_codes)) or "`malformed_body`"
    headers = {
        name: {"description": description, "schema": {"type": "string"}}
        for name, description in _HEADERS.get(status, {}).items()
    }
    response: JsonObject = {"description": f"{status.phrase}. Codes: {codes}.", "content": _CONTENT}
    return response | ({"headers": headers} if headers else {})


def _possible_errors(path: str, method: str, operation: JsonObject) -> JsonObject:
    """The error responses of an operation, by its path, method, body and security."""
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
        for status, is_possible in possible.items()
        if is_possible
    }


def _link(document: JsonObject) -> None:
    """Add links: from an operation that makes a resource to the operations on it."""
    for path, method, operation in _operations(document):
        if method != "post":
            continue
        known = {name: f"$request.path.{name}" for name in _parameters(path)}
        for response in operation["responses"].values():
            schema = response.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
            made_ids = {
                name: f"$response.body#{pointer}" for name, pointer in _IDS.get(schema.rpartition("/")[2], {}).items()
            }
            if links := _links(document, known | made_ids, made_ids):
                response["links"] = links


def _links(document: JsonObject, known: Mapping[str, str], made_ids: Mapping[str, str]) -> JsonObject:
    return {
        operation["operationId"]: {
            "operationId": operation["operationId"],
            "parameters": {name: known[name] for name in _parameters(path)},
        }
        for path, _, operation in _operations(document)
        if _parameters(path) & made_ids.keys() and _parameters(path) <= known.keys()
    }


def _parameters(path: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", path))
