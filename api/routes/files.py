"""A proxy to the object store under the API's own origin, for signed URLs of objects.

A signed URL allows to read its object. The signature is checked here, for one object of a kind that is served; the
object store gets a request of the service's own, so that nothing of the client's path or query reaches it.
"""

import http.client
import re
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from api.errors import problem
from service.context import Service
from service.errors import NotFoundError, StorageUnavailableError
from service.storage import is_served

_CONNECT_TIMEOUT_S = 5
_CHUNK_BYTES = 64 * 1024
_SIGNATURE = "X-Amz-Signature"
_FORWARDED_HEADERS = ("if-none-match", "if-modified-since", "if-match", "if-range")
_ONE_RANGE = re.compile(r"bytes=(\d{1,18}-\d{0,18}|-\d{1,18})", re.ASCII)
"""The ranges that every object store supports; HTTP allows to ignore others and to send the whole object."""

_RETURNED_HEADERS = (
    "content-type",
    "content-length",
    "content-range",
    "accept-ranges",
    "etag",
    "last-modified",
)


def install(app: FastAPI, service: Service) -> None:
    """Serve signed URLs of objects in the bucket."""

    def read_object(request: Request, key: str) -> Response:
        parameters = request.query_params
        if _SIGNATURE not in parameters or not is_served(key):
            raise NotFoundError("route", request.url.path)
        repeated = len(parameters.multi_items()) > len(parameters)
        if repeated or not service.storage.is_signed(key, parameters):
            return _refusal(HTTPStatus.FORBIDDEN)
        return _proxy(request, service.storage.internal_url(key))

    path = f"/{service.settings.s3_bucket}/{{key:path}}"
    app.add_api_route(path, read_object, methods=["GET", "HEAD"], include_in_schema=False)


def _proxy(request: Request, url: str) -> Response:
    storage = urlsplit(url)
    kind = http.client.HTTPSConnection if storage.scheme == "https" else http.client.HTTPConnection
    connection = kind(storage.netloc, timeout=_CONNECT_TIMEOUT_S)
    try:
        response = _forward(connection, request, f"{storage.path}?{storage.query}")
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise StorageUnavailableError("The object store cannot be reached. Try again in a moment.") from error
    if response.status >= HTTPStatus.BAD_REQUEST:
        _close(connection, response)
        return _refusal(response.status)
    headers = {name: value for name in _RETURNED_HEADERS if (value := response.getheader(name)) is not None}
    headers["X-Content-Type-Options"] = "nosniff"
    if request.method == "HEAD":
        _close(connection, response)
        return Response(status_code=response.status, headers=headers)
    # Some object stores answer a range with 200; video players rely on 206.
    status = HTTPStatus.PARTIAL_CONTENT if "content-range" in headers else response.status
    chunks = _chunks(connection, response)
    # Started, so that its end closes the connection even where the client is gone before the first chunk.
    next(chunks)
    return StreamingResponse(chunks, status, headers)


def _forward(connection: http.client.HTTPConnection, request: Request, target: str) -> http.client.HTTPResponse:
    # Also for HEAD: the URL is signed for GET.
    connection.putrequest("GET", target, skip_accept_encoding=True)
    if _ONE_RANGE.fullmatch(request.headers.get("range", "")) and request.method == "GET":
        connection.putheader("Range", request.headers["range"])
    for name in _FORWARDED_HEADERS:
        if name in request.headers:
            connection.putheader(name, request.headers[name])
    connection.endheaders()
    return connection.getresponse()


def _refusal(status: int) -> Response:
    if status == HTTPStatus.NOT_FOUND:
        return problem(HTTPStatus.NOT_FOUND, NotFoundError.code, "The object does not exist any more.")
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return problem(status, "range_not_satisfiable", "The object does not have that range of bytes.")
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        detail = "The signed URL has expired or was changed. Read the job or concept again for a new one."
        return problem(HTTPStatus.FORBIDDEN, "signature_invalid", detail)
    raise StorageUnavailableError("The object store cannot answer now. Try again in a moment.")


def _chunks(connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Nothing at first, then the object's bytes; its end closes the connection."""
    try:
        yield b""
        while chunk := response.read(_CHUNK_BYTES):
            yield chunk
    finally:
        _close(connection, response)


def _close(connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
    """Close both: after `Connection: close` the socket belongs to the response alone."""
    response.close()
    connection.close()
