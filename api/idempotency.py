"""Requests that make something may be sent again under an `Idempotency-Key`, and make it once.

A route that makes something asks for `Once` and makes the thing by `await once.make(work)`, where `work` calls
`once.made(session, id)` within the transaction that makes it. Where an equal request has made the thing already, `make`
returns its id at once, and the route goes on as if it had just made it. All the rest happens here: whatever ends the
request before that frees the key.

What a request is about is what was parsed of it: fields, with JSON by its values, and the digests of files. Neither the
boundaries of a form nor the order of an object's keys matter.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from anyio import CapacityLimiter
from fastapi import Depends, Header, Request, Response
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile

from api.deps import Call, Caller, in_thread, now
from service import idempotency
from service.idempotency import Reservation, StoredResponse

_BLOCK_BYTES = 1_000_000


class Idempotent:
    """What a request is about to make, or what an equal one has made before.

    Args:
        reservation: the key that stands for it; None where the caller gave none, or it was made before.
        before: what `made` was told the first time.
        status: what the answer's status is where nothing changes it.
    """

    def __init__(self, reservation: Reservation | None, before: str | None, status: int) -> None:
        self._before = before
        self._reservation = reservation
        self._status = status
        self._reference: str | None = None

    async def make(self, work: Callable[[], str], limiter: CapacityLimiter | None = None) -> str:
        """What an equal request made before, or else what a function makes, run beside the event loop."""
        if self._before is not None:
            return self._before
        return await in_thread(work, limiter)

    def made(self, session: Session, reference: str) -> str:
        """Keep what was made, in the transaction that makes it; returns it.

        Raises:
            IdempotencyInFlightError: this request took so long that another one has taken over.
        """
        if self._reservation is not None:
            idempotency.complete(session, self._reservation, StoredResponse(self._status, reference), now())
            self._reference = reference
        return reference

    def unmade(self, session: Session) -> None:
        """Take back what `made` said: the answer is no success, and asked again, the request shall begin anew."""
        if self._reservation is not None:
            idempotency.forget(session, self._reservation)
            self._reference = None

    def settle(self, call: Call, status: int | None) -> None:
        """Free a key under which nothing was made; keep a status that has become another one by waiting."""
        if self._reservation is None:
            return
        if self._reference is None:
            with call.service.database.writing() as session:
                idempotency.release(session, self._reservation)
        elif status not in {None, self._status}:
            with call.service.database.writing() as session:
                idempotency.complete(session, self._reservation, StoredResponse(status, self._reference), now())


async def _once(
    call: Caller,
    request: Request,
    response: Response,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            pattern=r"^[!-~]([ -~]{0,253}[!-~])?$",
            description="Any text of 1 to 255 printable ASCII characters that stands for this request for 24 hours: "
            "sent again with it, the request makes nothing more and is answered with what it made the first time.",
        ),
    ] = None,
) -> AsyncIterator[Idempotent]:
    status = request.scope["route"].status_code or HTTPStatus.OK
    if key is None:
        yield Idempotent(None, None, status)
        return
    fingerprint = await _fingerprint(request)
    found = await in_thread(partial(_reserve, call, key, fingerprint))
    if isinstance(found, StoredResponse):
        response.status_code = found.status
        yield Idempotent(None, found.reference, found.status)
        return
    making = Idempotent(found, None, status)
    try:
        yield making
    finally:
        await in_thread(partial(making.settle, call, response.status_code))


Once = Annotated[Idempotent, Depends(_once, scope="function")]


def _reserve(call: Call, key: str, fingerprint: str) -> Reservation | StoredResponse:
    with call.service.database.writing() as session:
        return idempotency.reserve(session, call.owner_id, key, fingerprint, now())


async def _fingerprint(request: Request) -> str:
    """What tells a request from every other one, as a digest; the framework has read the body already."""
    form = request.headers.get("content-type", "").startswith(("multipart/form-data", "application/x-www-form"))
    content = await _form_content(await request.form()) if form else _body_content(await request.body())
    return _digest(f"{request.method} {request.url.path}\n{content}".encode())


async def _form_content(form: FormData) -> str:
    said: dict[str, list[Any]] = {}
    for name, value in form.multi_items():
        part = await _file_content(value) if isinstance(value, UploadFile) else _text_content(value)
        said.setdefault(name, []).append(part)
    return _canonical(said)


async def _file_content(file: UploadFile) -> dict[str, str]:
    digest = hashlib.sha256()
    while block := await file.read(_BLOCK_BYTES):
        digest.update(block)
    await file.seek(0)
    return {"sha256": digest.hexdigest()}


def _text_content(text: str) -> Any:  # noqa: ANN401 - JSON holds anything
    """A field's text; one that is a JSON object is taken as that object."""
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
