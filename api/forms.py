"""Forms whose file names are written as clients of other languages write them: RFC 5987, RFC 2231 and RFC 2047.

The framework's parser takes a part for a file only if it has a plain `filename`; others would be read as text.
"""

import re
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import collapse_rfc2231_value
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

_ENCODED = re.compile(rb"filename\*(?:\d+\*?)?\s*=|=\?[^?]+\?[bq]\?", re.IGNORECASE)


class FormRoute(APIRoute):
    """A route that takes a form with files."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, with a request that parses forms by `_FormParser`."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_FormRequest(request.scope, request.receive))

        return handle


class _FormRequest(Request):
    async def _get_form(
        self, *, max_files: float = 1000, max_fields: float = 1000, max_part_size: int = 1024 * 1024
    ) -> FormData:
        content_type, _ = parse_options_header(self.headers.get("Content-Type"))
        if self._form is not None or content_type != b"multipart/form-data":
            return await super()._get_form(max_files=max_files, max_fields=max_fields, max_part_size=max_part_size)
        limits: dict[str, Any] = {"max_files": max_files, "max_fields": max_fields, "max_part_size": max_part_size}
        try:
            async with aclosing(self.stream()) as stream:
                self._form = await _FormParser(self.headers, stream, **limits).parse()
        except MultiPartException as error:
            raise HTTPException(HTTPStatus.BAD_REQUEST, error.message) from error
        return self._form


class _FormParser(MultiPartParser):
    def on_headers_finished(self) -> None:
        """Write an encoded file name plainly."""
        header = self._current_part.content_disposition
        if header is not None and _ENCODED.search(header):
            self._current_part.content_disposition = _plain(header)
        super().on_headers_finished()


def _plain(header: bytes) -> bytes:
    message = Message()
    text = header.decode("utf-8", errors="surrogateescape")
    message["Content-Disposition"] = "".join(text.splitlines())
    # The parameters as (key, value); an encoded value is a tuple, which the library's types do not say.
    parameters: Any = message.get_params([], header="Content-Disposition")
    names = [value for key, value in parameters if key == "filename"]
    # An encoded name goes before a plain one beside it, which is for old programs (RFC 6266).
    chosen = next((value for value in names if isinstance(value, tuple)), next(iter(names), None))
    field = message.get_param("name", header="Content-Disposition")
    if not isinstance(field, str) or chosen is None:
        return header
    filename = _decoded(collapse_rfc2231_value(chosen))
    return f'form-data; name="{_escaped(field)}"; filename="{_escaped(filename)}"'.encode(errors="replace")


def _decoded(filename: str) -> str:
    """A name whose words are encoded as in mail headers."""
    try:
        return str(make_header(decode_header(filename)))
    except (HeaderParseError, UnicodeDecodeError, LookupError):
        return filename


def _escaped(text: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", "".join(character for character in text if character.isprintable()))
