"""Idempotency of POST requests: sent again under the same `Idempotency-Key`, a request makes nothing more.

A route that makes something asks for an `IdempotentRequest` and makes it by `await idempotent.run(work)`, where `work`
calls `idempotent.commit(session, id)` in the transaction that makes it. For a repeated request `run` returns the id of
the first one's result, and the route answers with that. A request that ends before `commit` frees its key.

Two requests are equal by their parsed content: fields, JSON by its values, and digests of files. The boundaries of a
form and the order of an object's keys do not matter.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from anyio import CapacityLimiter
from fastapi import Depends, Header, Request, Response
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile

from api.deps import AnyAccess, RequestContext, in_thread
from service import idempotency
from service.idempotency import Reservation, StoredReference, StoredResponse

_BLOCK_BYTES = 1_000_000


class Idempotent:
    """A request that makes something at most once.

    Args:
        reservation: of its idempotency key; None without a key, or where an equal request has succeeded before.
        stored: the reference that an equal request has committed before.
        status: the response's status, unless the route changes it.
    """

    def __init__(self, reservation: Reservation | None, stored: StoredReference | None, status: int) -> None:
        self._stored = stored
        self._reservation = reservation
        self._status = status
        self._reference: str | None = None

    async def run(self, work: Callable[[], str], limiter: CapacityLimiter | None = None) -> str:
        """The stored reference of an equal request, or else the result of `work`, run in a thread."""
        return await self.run_async(partial(in_thread, work, limiter))

    async def run_async(self, work: Callable[[], Awaitable[str]]) -> str:
        """The stored reference of an equal request, or else the result of `work`, awaited."""
        return await work() if self._stored is None else self._stored.reference

    def commit(self, session: Session, reference: str) -> str:
        """Store the reference of the request's result, in the transaction that makes it; returns it.

        Raises:
            IdempotencyInFlightError: this request took so long that another one has taken over its key.
        """
        if self._reservation is not None:
            idempotency.complete(session, self._reservation, StoredResponse(self._status, reference))
            self._reference = reference
        return reference

    def rollback(self, session: Session) -> None:
        """Delete the committed reference of a request that fails after all: sent again, it starts from scratch."""
        if self._reservation is not None:
            idempotency.delete(session, self._reservation)
            self._reference = None
        elif self._stored is not None:
            idempotency.delete_stored(session, self._stored)

    def finish(self, context: RequestContext, status: int | None) -> None:
        """Free the key of a request without a result; store the status, where the route has changed it."""
        if self._reservation is None:
            return
        if self._reference is None:
            with context.service.database.writing() as session:
                idempotency.release(session, self._reservation)
        elif status not in {None, self._status}:
            with context.service.database.writing() as session:
                idempotency.complete(session, self._reservation, StoredResponse(status, self._reference))


async def _idempotent_request(
    context: AnyAccess,
    request: Request,
    response: Response,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            pattern=r"^[!-~]([ -~]{0,253}[!-~])?$",
            description="1 to 255 printable ASCII characters that identify this request for 24 hours: sent again with "
            "the same key, it makes nothing more and is answered with the result of the first one.",
        ),
    ] = None,
) -> AsyncIterator[Idempotent]:
    status = request.scope["route"].status_code or HTTPStatus.OK
    if key is None:
        yield Idempotent(None, None, status)
        return
    fingerprint = await _fingerprint(request)
    found = await in_thread(partial(_reserve, context, key, fingerprint))
    if isinstance(found, StoredResponse):
        response.status_code = found.status
        yield Idempotent(None, StoredReference(context.owner_id, key, found.reference), found.status)
        return
    idempotent = Idempotent(found, None, status)
    try:
        yield idempotent
    finally:
        await in_thread(partial(idempotent.finish, context, response.status_code))


IdempotentRequest = Annotated[Idempotent, Depends(_idempotent_request, scope="function")]


def _reserve(context: RequestContext, key: str, fingerprint: str) -> Reservation | StoredResponse:
    with context.service.database.writing() as session:
        return idempotency.reserve(session, context.owner_id, key, fingerprint)


async def _fingerprint(request: Request) -> str:
    """A digest of the request's method, path and parsed content; the framework has read the body already."""
    form = request.headers.get("content-type", "").startswith(("multipart/form-data", "application/x-www-form"))
    content = await _form_content(await request.form()) if form else _body_content(await request.body())
    return _digest(f"{request.method} {request.url.path}\n{content}".encode())


async def _form_content(form: FormData) -> str:
    fields: dict[str, list[Any]] = {}
    for name, value in form.multi_items():
        content = await _file_content(value) if isinstance(value, UploadFile) else _text_content(value)
        fields.setdefault(name, []).append(content)
    return _canonical(fields)


async def _file_content(file: UploadFile) -> dict[str, str]:
    digest = hashlib.sha256()
    while block := await file.read(_BLOCK_BYTES):
        digest.update(block)
    await file.seek(0)
    return {"sha256": digest.hexdigest()}


def _text_content(text: str) -> Any:  # noqa: ANN401 - JSON holds anything
    """A field's text, parsed where it is a JSON object."""
    try:
        return {"json": json.loads(text)} if text.lstrip().startswith("{") else text
    except (ValueError, RecursionError):
        return text


def _body_content(body: bytes) -> str:
    try:
        return _canonical(json.loads(body))
    except (ValueError, RecursionError):
        return _digest(body)


def _canonical(value: Any) -> str:  # noqa: ANN401 - JSON holds anything
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
