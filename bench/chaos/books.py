"""The books of a chaos run: each request with its answers, and what became of it in the end."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

_ENDED = ("succeeded", "failed", "cancelled")
_ATTEMPTS = 400
_WAIT_S = 0.5


@dataclass(frozen=True)
class Entry:
    """An accepted job.

    Attributes:
        id: of the job; of the concept for an import or a blend, which has no job of its own.
        kind: of the job.
        pictures: that it is to have in the end.
        poison: whether it kills every worker that takes it.
    """

    id: str
    kind: str
    pictures: int = 0
    poison: bool = False


@dataclass
class Books:
    """Accepted jobs, the statuses of all answers, and the faults that were found."""

    url: str
    entries: list[Entry] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def request(self, method: str, path: str, key: str | None = None, **content: Any) -> httpx.Response:  # noqa: ANN401
        """An answer below 500, after as many repetitions under one key as it takes.

        Raises:
            TimeoutError: there is none after minutes.
        """
        headers = {"Idempotency-Key": key} if key else {}
        for _ in range(_ATTEMPTS):
            try:
                response = httpx.request(
                    method, self.url + path, headers=headers, timeout=60, trust_env=False, **content
                )
            except httpx.TransportError as error:
                self._count(type(error).__name__)
            else:
                self._count(str(response.status_code))
                if not self._repeats(method, path, response):
                    return response
            time.sleep(_WAIT_S)
        raise TimeoutError(f"{method} {path}")

    def add(self, entry: Entry) -> None:
        """Note an accepted job."""
        with self._lock:
            self.entries.append(entry)

    def settle(self, timeout_s: float) -> None:
        """Wait until all jobs have ended, then check each."""
        deadline = time.monotonic() + timeout_s
        for entry in self.entries:
            job = self.request("GET", f"/v1/jobs/{entry.id}").json()
            while job["status"] not in _ENDED:
                if time.monotonic() > deadline:
                    self.fault(f"{entry.id} ({entry.kind}) is {job['status']} at the end")
                    break
                time.sleep(_WAIT_S)
                job = self.request("GET", f"/v1/jobs/{entry.id}").json()
            else:
                self._check(entry, job)

    def fault(self, message: str) -> None:
        """Note a fault."""
        with self._lock:
            self.faults.append(message)

    def _check(self, entry: Entry, job: dict[str, Any]) -> None:
        expected = "failed" if entry.poison else "succeeded"
        if job["status"] != expected:
            self.fault(f"{entry.id} ({entry.kind}) has {job['status']}: {job['error']}")
            return
        if entry.poison:
            return
        ends = self._events(entry.id).count("done")
        if ends != 1:
            self.fault(f"{entry.id} has ended {ends} times")
        images = job["output"]["images"]
        if entry.kind != "train" and len(images) != entry.pictures:
            self.fault(f"{entry.id} has {len(images)} pictures, not {entry.pictures}")
        for image in images:
            data = httpx.get(image["url"], timeout=60, trust_env=False)
            if data.status_code != httpx.codes.OK or not data.content:
                self.fault(f"the picture {image['id']} of {entry.id} cannot be fetched: {data.status_code}")

    def _events(self, job_id: str) -> list[str]:
        text = self.request("GET", f"/v1/jobs/{job_id}/events").text
        return [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]

    def _repeats(self, method: str, path: str, response: httpx.Response) -> bool:
        """Whether a request is to be sent again; any 5xx but a 503 with Retry-After is a fault."""
        in_flight = response.status_code == httpx.codes.CONFLICT and response.json()["code"] == "idempotency_in_flight"
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            expected = response.status_code == httpx.codes.SERVICE_UNAVAILABLE and "Retry-After" in response.headers
            if not expected:
                self.fault(f"{method} {path}: {response.status_code} {response.text[:200]}")
            return True
        return in_flight

    def _count(self, status: str) -> None:
        with self._lock:
            self.statuses[status] += 1
