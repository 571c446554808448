"""Malformed requests: broken JSON, forms, pictures, archives, queries and HTTP itself. None of them is valid."""

import json
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.attack import samples
from bench.attack.server import Target
from stack.processes import LOOPBACK

Request = tuple[bytes, bytes, bytes]
"""A request line without the version, header lines, and a body."""

_BOUNDARY = b"boundary"
_FORM = b"Content-Type: multipart/form-data; boundary=boundary\r\n"
_JSON = b"Content-Type: application/json\r\n"
_POSTS = (b"/v1/generations", b"/v1/interpolations", b"/v1/concepts/blend", b"/v1/webhooks", b"/v1/images/generations")
_GETS = (b"/v1/concepts", b"/v1/jobs", b"/v1/images", b"/v1/webhooks")
_WRONG: tuple[object, ...] = (None, -1, 10**30, 1e308, "", "\0", "x" * 5000, [], {}, [[]], True, "\ud800")


def requests(count: int, seed: int = 0) -> Iterator[Request]:
    """So many malformed requests, the same for the same seed."""
    chance = random.Random(seed)
    kinds = (_broken_json, _wrong_fields, _broken_form, _broken_picture, _broken_query, _broken_http)
    for number in range(count):
        yield kinds[number % len(kinds)](chance)


def send(target: Target, found: list[Request], secret: str, threads: int = 16) -> Counter[int]:
    """Send requests; how many got each status, 0 for a connection that was closed without one."""

    def one(request: Request) -> int:
        return _status(target.port, request, secret)

    with ThreadPoolExecutor(threads) as pool:
        return Counter(pool.map(one, found))


def _status(port: int, request: Request, secret: str) -> int:
    line, headers, body = request
    common = f"Host: {LOOPBACK}:{port}\r\nAuthorization: {secret}\r\nConnection: close\r\n".encode()
    length = b"" if b"ength" in headers or b"chunked" in headers else b"Content-Length: %d\r\n" % len(body)
    try:
        with socket.create_connection((LOOPBACK, port), timeout=60) as connection:
            connection.sendall(line + b" HTTP/1.1\r\n" + common + headers + length + b"\r\n" + body)
            answer = connection.recv(64)
    except OSError:
        return 0
    parts = answer.split(b" ", 2)
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def _broken_json(chance: random.Random) -> Request:
    whole = json.dumps({"prompt": "a photo", "model": "tiny", "seed": 1}).encode()
    broken: tuple[Callable[[], bytes], ...] = (
        lambda: whole[: chance.randrange(len(whole))],
        lambda: whole.replace(b'"', b"'"),
        lambda: b"\xff" + whole,
        lambda: b"[" * chance.randrange(1, 100_000),
        lambda: b'{"prompt": ' + b"9" * 10_000 + b"}",
        lambda: chance.randbytes(chance.randrange(1, 200)),
    )
    return b"POST " + chance.choice(_POSTS), _JSON, chance.choice(broken)()


def _wrong_fields(chance: random.Random) -> Request:
    fields: dict[str, object] = {"no_such_field": chance.choice(_WRONG), "prompt": chance.choice(_WRONG)}
    return b"POST " + chance.choice(_POSTS), _JSON, json.dumps(fields).encode()


def _form(*parts: tuple[bytes, bytes]) -> bytes:
    body = b"".join(b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (_BOUNDARY, *part) for part in parts)
    return body + b"--" + _BOUNDARY + b"--\r\n"


def _concept(name: bytes, file: bytes, field: bytes = b"images") -> bytes:
    return _form((b'name="name"', name), (b'name="class_word"', b"dog"), (b'name="%b"; filename="a.png"' % field, file))


def _broken_form(chance: random.Random) -> Request:
    whole = _concept(b"dog-%d" % chance.randrange(10**9), samples.noise_png())
    broken: tuple[Callable[[], bytes], ...] = (
        lambda: whole[: chance.randrange(len(whole) - 20)],
        lambda: whole.replace(_BOUNDARY, b"another"),
        lambda: whole.replace(b'name="images"', b'name="no_such_field"'),
        lambda: whole.replace(b'name="class_word"', b'name="name"'),
        lambda: _concept(b"no name!\0", samples.noise_png()),
        lambda: chance.randbytes(1000),
    )
    return b"POST /v1/concepts", _FORM, chance.choice(broken)()


def _broken_picture(chance: random.Random) -> Request:
    picture = samples.noise_png()
    broken: tuple[Callable[[], bytes], ...] = (
        lambda: picture[: chance.randrange(1, len(picture) // 2)],
        lambda: b"\x89PNG\r\n\x1a\n" + chance.randbytes(chance.randrange(200)),
        lambda: b"RIFF" + chance.randbytes(4) + b"WEBPVP8 " + chance.randbytes(50),
        lambda: chance.randbytes(4) + b"ftypheic" + chance.randbytes(100),
        lambda: chance.randbytes(4) + b"ftypavif" + chance.randbytes(100),
        lambda: b"II*\0" + chance.randbytes(100),
        lambda: b"GIF89a" + chance.randbytes(50),
        lambda: b"\xff\xd8\xff" + chance.randbytes(200),
    )
    field = chance.choice((b"images", b"archive"))
    file = chance.choice(broken)() if field == b"images" else b"PK\x03\x04" + chance.randbytes(200)
    return b"POST /v1/concepts", _FORM, _concept(b"dog-%d" % chance.randrange(10**9), file, field)


def _broken_query(chance: random.Random) -> Request:
    queries = (b"limit=x", b"limit=99999999999999999999", b"cursor=%00", b"cursor=" + b"A" * 500, b"limit=-1")
    return b"GET " + chance.choice(_GETS) + b"?" + chance.choice(queries), b"", b""


def _broken_http(chance: random.Random) -> Request:
    broken: tuple[Request, ...] = (
        (b"GET", b"", b""),
        (b"GET /v1/\x00", b"", b""),
        (b"POST /v1/generations", _JSON + b"Content-Length: abc\r\n", b"{}"),
        (b"POST /v1/generations", _JSON + b"Content-Length: -1\r\n", b"{}"),
        (b"POST /v1/generations", _JSON + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        (b"POST /v1/generations", _JSON + b"Transfer-Encoding: chunked\r\n", b"zz\r\n{}\r\n0\r\n\r\n"),
        (b"GET /v1/jobs", b"X: " + b"a" * 500_000 + b"\r\n", b""),
        (b"GET /v1/jobs", b"no colon\r\n", b""),
        (b"\x16\x03\x01" + chance.randbytes(40), b"", b""),
        (b"GET /dti/?list-type=2&X-Amz-Signature=0", b"", b""),
        (b"GET /dti/../../etc/passwd", b"", b""),
        (b"POST /v1/no/such/route", _JSON, b"{}"),
    )
    return chance.choice(broken)
