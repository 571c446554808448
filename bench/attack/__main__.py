"""All attacks: `python -m bench.attack`. Exits with 1 if a target is missed."""

import argparse
import secrets
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from bench.attack import malformed, samples
from bench.attack.server import Bystander, Target, raise_open_files, running
from bench.figures import Figure, show
from stack.processes import LOOPBACK

_COPIES = 4
"""Pictures of an attacker's request, and requests at once."""


def _malformed(target: Target, count: int) -> Iterator[Figure]:
    with target.client("malformed") as client:
        before, secret = target.stored(), client.headers["Authorization"]
        with Bystander(target).watching() as bystander:
            statuses = malformed.send(target, list(malformed.requests(count)), secret)
        concepts = client.get("/v1/concepts").raise_for_status().json()["items"]
        jobs = client.get("/v1/jobs").raise_for_status().json()["items"]
    print(f"statuses of malformed requests: {dict(sorted(statuses.items()))}")
    server_errors = sum(number for status, number in statuses.items() if status >= httpx.codes.INTERNAL_SERVER_ERROR)
    accepted = sum(number for status, number in statuses.items() if httpx.codes.is_success(status))
    yield Figure("malformed requests", sum(statuses.values()), "", count, minimum=True)
    yield Figure("of these answered with 5xx", server_errors, "", 0)
    yield Figure("of these accepted", accepted, "", 0)
    yield Figure("things stored", target.stored() - before + len(concepts) + len(jobs), "", 0)
    yield from _watched(bystander, "malformed requests")


def _half_open(target: Target, count: int, hold_s: float) -> Iterator[Figure]:
    with target.client("half-open") as client:
        secret = client.headers["Authorization"]
    head = f"POST /v1/concepts HTTP/1.1\r\nHost: {LOOPBACK}\r\nAuthorization: {secret}\r\n".encode()
    starts = (b"", b"GET /v1/jobs HTTP/1.1\r\nHost: ", head + b"Content-Length: 100000\r\n\r\n{")
    held = []
    with Bystander(target).watching() as bystander:
        try:
            for number in range(count):
                connection = socket.create_connection((LOOPBACK, target.port), timeout=10)
                connection.sendall(starts[number % len(starts)])
                held.append(connection)
            time.sleep(hold_s)
        finally:
            for connection in held:
                connection.close()
    yield Figure("half-open connections", len(held), "", count, minimum=True)
    yield from _watched(bystander, "half-open connections")


def _pictures(target: Target) -> Iterator[Figure]:
    for kind, data in samples.largest():
        statuses: list[int] = []
        attackers = [threading.Thread(target=_upload_large, args=(target, data, statuses)) for _ in range(_COPIES)]
        longest_s, uploads = 0.0, 0
        for attacker in attackers:
            attacker.start()
        with target.client(f"victim-{secrets.token_hex(3)}") as victim:
            while any(attacker.is_alive() for attacker in attackers):
                began = time.perf_counter()
                _upload(victim, [samples.noise_png()]).raise_for_status()
                longest_s, uploads = max(longest_s, time.perf_counter() - began), uploads + 1
                time.sleep(0.2)
        for attacker in attackers:
            attacker.join()
        print(f"{kind}: {len(data)} bytes, statuses {statuses}, {uploads} uploads of another owner")
        yield Figure(f"64 px upload of another owner beside {_COPIES} x {_COPIES} {kind}", longest_s, "s", 1)
    yield Figure("API, peak memory", target.peak_mb(), "MB", 300)


def _upload_large(target: Target, data: bytes, statuses: list[int]) -> None:
    with target.client("attacker") as client:
        statuses.append(_upload(client, [data] * _COPIES).status_code)


def _upload(client: httpx.Client, pictures: list[bytes]) -> httpx.Response:
    return client.post(
        "/v1/concepts",
        data={"name": f"thing-{secrets.token_hex(6)}", "class_word": "dog"},
        files=[("images", ("a", picture)) for picture in pictures],
    )


def _watched(bystander: Bystander, attack: str) -> Iterator[Figure]:
    yield Figure(f"failed requests of others during {attack}", len(bystander.failures), "", 0)
    yield Figure(f"longest answer to others during {attack}", bystander.longest_s, "s", 1)


def main() -> int:
    """Run all attacks on one API; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--malformed", type=int, default=5000, help="number of malformed requests")
    parser.add_argument("--half-open", type=int, default=2000, help="number of half-open connections")
    parser.add_argument("--hold", type=float, default=15, help="seconds for which these are held")
    parser.add_argument("--no-pictures", action="store_true", help="without the largest pictures")
    options = parser.parse_args()
    raise_open_files()
    with tempfile.TemporaryDirectory(prefix="dti-attack-") as folder, running(Path(folder)) as target:
        figures = [
            *_malformed(target, options.malformed),
            *_half_open(target, options.half_open, options.hold),
            *([] if options.no_pictures else _pictures(target)),
        ]
        log_mb = sum(path.stat().st_size for path in Path(folder, "logs").glob("api*")) / 1e6
        figures.append(Figure("log of the API", log_mb, "MB", 25))
    show(figures)
    return any(figure.status == "MISSED" for figure in figures)


if __name__ == "__main__":
    sys.exit(main())
