"""Latencies of the whole service, measured over HTTP on a separate embedded stack."""

import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageDraw

from bench.figures import Figure
from stack.processes import LOOPBACK, Child, Program, free_port, responds

CLI = (sys.executable, "-P", "-m", "cli")
PICTURES = 15
TRAINING_STEPS = 400
LARGE_PX = (8660, 5773)
"""Fifty megapixels."""

_ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Running:
    """A running command with an HTTP API.

    Args:
        pid: its process id.
        client: client of its API.
        start_s: seconds until its first response.
    """

    pid: int
    client: httpx.Client
    start_s: float

    def memory_mb(self, kind: str) -> float:
        """Memory in megabytes from the kernel: VmRSS (current) or VmHWM (peak)."""
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        kilobytes = next(line for line in lines if line.startswith(kind)).split()[1]
        return int(kilobytes) * 1024 / 1e6

    def has_loaded(self, library: str) -> bool:
        """Whether it has loaded a shared library."""
        return library in Path(f"/proc/{self.pid}/maps").read_text(encoding="utf-8")


def measure() -> Iterator[Figure]:
    """Start a stack in a fresh folder, train and generate on it, and stop it."""
    with tempfile.TemporaryDirectory(prefix="dti-bench-") as folder:
        home = Path(folder)
        with _running("serve", home) as stack:
            training = _train(stack.client)
            yield Figure("DTI training on tiny, 400 steps of batch 4, worker time", _worked_s(training), "s", 40)
            yield from _pictures(stack.client, "one 64 px picture, 20 steps, over HTTP, p50", 0.8)
            yield from _during_training(stack.client)
            with _running("api", home) as api:
                yield from _api(api)


def _pictures(client: httpx.Client, label: str, target: float | None) -> Iterator[Figure]:
    jobs, waits = [], []
    for seed in range(PICTURES + 1):
        start = time.perf_counter()
        jobs.append(_generate(client, seed))
        waits.append(time.perf_counter() - start)
    # The first generation loads lazily imported modules.
    yield Figure(label, statistics.median(waits[1:]), "s", target)
    if target is not None:
        delays = [1000 * (_moment(job, "started_at") - _moment(job, "created_at")) for job in jobs[1:]]
        yield Figure("submitted → claimed, p50", statistics.median(delays), "ms", 50)


def _during_training(client: httpx.Client) -> Iterator[Figure]:
    job = _submit_training(client, "busy", steps=5000)
    while _job(client, job)["progress"]["step"] < 1:
        time.sleep(0.1)
    yield from _pictures(client, "the same picture while a training runs, p50", None)
    client.post(f"/v1/jobs/{job['id']}/cancel").raise_for_status()


def _api(api: Running) -> Iterator[Figure]:
    yield Figure("API, start to first response", api.start_s, "s", 3)
    yield Figure("API, idle memory", api.memory_mb("VmRSS"), "MB", 150)
    answer = api.client.post(
        "/v1/concepts",
        data={"name": "large", "class_word": "dog", "training": json.dumps({"steps": 1})},
        files=[("images", ("large.jpg", _large_picture(), "image/jpeg"))],
    )
    answer.raise_for_status()
    yield Figure("API, peak memory while a 50-megapixel JPEG is uploaded", api.memory_mb("VmHWM"), "MB", 500)
    yield Figure("API, torch is loaded", float(api.has_loaded("libtorch")), "", 0)


@contextmanager
def _running(command: str, home: Path) -> Iterator[Running]:
    """Run a command on a home folder, with a client of its API."""
    port = free_port()
    unset = {name: "" for name in os.environ if name.startswith("DTI_")}
    program = Program(
        name=command,
        argv=[*CLI, command],
        environment={**unset, "DTI_HOME": str(home), "DTI_PORT": str(port)},
        ready=lambda: responds(port),
        start_timeout_s=120,
        stop_timeout_s=60,
    )
    address, start = f"http://{LOOPBACK}:{port}", time.perf_counter()
    with Child(program, home / "logs") as child, httpx.Client(base_url=address, timeout=90, trust_env=False) as client:
        if child.pid is None:
            raise RuntimeError(f"{command} has no process.")
        yield Running(child.pid, client, time.perf_counter() - start)


def _train(client: httpx.Client) -> dict[str, Any]:
    job = _submit_training(client, "ball", steps=TRAINING_STEPS)
    while (now := _job(client, job))["status"] not in _ENDED:
        time.sleep(0.1)
    return _succeeded(now)


def _submit_training(client: httpx.Client, name: str, *, steps: int) -> dict[str, Any]:
    answer = client.post(
        "/v1/concepts",
        data={"name": name, "class_word": "apple", "training": json.dumps({"steps": steps, "batch_size": 4})},
        files=[("images", (f"{shift}.png", _picture(shift), "image/png")) for shift in range(4)],
    )
    job: dict[str, Any] = answer.raise_for_status().json()["job"]
    return job


def _generate(client: httpx.Client, seed: int) -> dict[str, Any]:
    request = {"prompt": "a photo of <ball>", "seed": seed, "width": 64, "height": 64, "steps": 20}
    answer = client.post("/v1/generations", json=request, headers={"Prefer": "wait=60"})
    return _succeeded(answer.raise_for_status().json())


def _job(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    now: dict[str, Any] = client.get(f"/v1/jobs/{job['id']}").raise_for_status().json()
    return now


def _succeeded(job: dict[str, Any]) -> dict[str, Any]:
    if job["status"] != "succeeded":
        raise RuntimeError(f"{job['id']} is {job['status']}: {job['error']}")
    return job


def _worked_s(job: dict[str, Any]) -> float:
    return _moment(job, "finished_at") - _moment(job, "started_at")


def _moment(job: dict[str, Any], name: str) -> float:
    return datetime.fromisoformat(job[name]).timestamp()


def _picture(shift: int) -> bytes:
    picture = Image.new("RGB", (96, 96), (230, 225, 200))
    ImageDraw.Draw(picture).ellipse((10 + 8 * shift, 20, 60 + 8 * shift, 70), fill="crimson", outline="black", width=3)
    return _encoded(picture, "PNG")


def _large_picture() -> bytes:
    return _encoded(
        Image.effect_noise((LARGE_PX[0] // 8, LARGE_PX[1] // 8), 60).convert("RGB").resize(LARGE_PX), "JPEG"
    )


def _encoded(picture: Image.Image, kind: str) -> bytes:
    sink = io.BytesIO()
    picture.save(sink, kind)
    return sink.getvalue()
