"""The storage under the API's own origin: signed addresses of objects are passed on to it, byte for byte.

Whoever holds a signed address may read that object; the storage itself checks the signature, in which the host that the
client called is included. So the host travels on unchanged, and one port serves everything.
"""

import http.client
import re
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from api.errors import problem
from service.errors import NotFoundError, SettingsError, StorageUnavailableError
from service.settings import Settings

_CONNECT_TIMEOUT_S = 5
_PIECE_BYTES = 64 * 1024
_SIGNATURE = "X-Amz-Signature"
_ASKED = ("if-none-match", "if-modified-since", "if-match", "if-range")
_ONE_RANGE = re.compile(r"bytes=(\d{1,18}-\d{0,18}|-\d{1,18})", re.ASCII)
"""What every storage understands; of other ranges HTTP allows to take no notice, and to send the whole."""

_ANSWERED = (
    "content-type",
    "content-length",
    "content-range",
    "accept-ranges",
    "etag",
    "last-modified",
)


def install(app: FastAPI, settings: Settings) -> None:
    """Pass signed addresses in the bucket on to the storage.

    Raises:
        SettingsError: there is no storage address.
    """
    if settings.s3_endpoint is None:
        raise SettingsError("There is no storage address. Set DTI_S3_ENDPOINT, or use `dti serve`.")
    storage = urlsplit(settings.s3_endpoint)

    def read_object(request: Request) -> Response:
        if _SIGNATURE not in request.query_params:
            raise NotFoundError("route", request.url.path)
        return _passed_on(request, storage.scheme, storage.netloc)

    path = f"/{settings.s3_bucket}/{{key:path}}"
    app.add_api_route(path, read_object, methods=["GET", "HEAD"], include_in_schema=False)


def _passed_on(request: Request, scheme: str, place: str) -> Response:
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(place, timeout=_CONNECT_TIMEOUT_S)
    try:
        answer = _ask(connection, request)
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise StorageUnavailableError("The object store cannot be reached. Try again in a moment.") from error
    if answer.status >= HTTPStatus.BAD_REQUEST:
        connection.close()
        return _refusal(answer.status)
    headers = {name: value for name in _ANSWERED if (value := answer.getheader(name)) is not None}
    headers["X-Content-Type-Options"] = "nosniff"
    if request.method == "HEAD":
        connection.close()
        return Response(status_code=answer.status, headers=headers)
    # Some servers give a part and call it the whole; players of films believe only the status.
    status = HTTPStatus.PARTIAL_CONTENT if "content-range" in headers else answer.status
    return StreamingResponse(_pieces(connection, answer), status, headers)


def _ask(connection: http.client.HTTPConnection, request: Request) -> http.client.HTTPResponse:
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    # Also for HEAD: the address is signed for GET.
    connection.putrequest("GET", f"{path.decode('ascii')}?{query.decode('ascii')}", skip_host=True)
    connection.putheader("Host", request.headers.get("host", ""))
    if _ONE_RANGE.fullmatch(request.headers.get("range", "")) and request.method == "GET":
        connection.putheader("Range", request.headers["range"])
    for name in _ASKED:
        if name in request.headers:
            connection.putheader(name, request.headers[name])
    connection.endheaders()
    return connection.getresponse()


def _refusal(status: int) -> Response:
    if status == HTTPStatus.NOT_FOUND:
        return problem(HTTPStatus.NOT_FOUND, NotFoundError.code, "There is no such object any more.")
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return problem(status, "range_not_satisfiable", "The object has no such bytes.")
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        detail = "The address has expired or was changed. Read the job or concept again for a fresh one."
        return problem(HTTPStatus.FORBIDDEN, "signature_invalid", detail)
    raise StorageUnavailableError("The object store cannot answer now. Try again in a moment.")


def _pieces(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while piece := answer.read(_PIECE_BYTES):
            yield piece
    finally:
        connection.close()
