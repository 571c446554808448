"""`dti serve` as a process, and an HTTP client for it."""

import contextlib
import io
import json
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

import httpx
import psutil
from PIL import Image, ImageDraw

from stack.processes import LOOPBACK, Child, Program, free_port, responds

ROOT = Path(__file__).resolve().parents[2]
CLI = (sys.executable, "-P", "-m", "cli")
TRAINING = {"steps": 160, "batch_size": 2, "seed": 11}
"""Quick, and repeatable to the bit where it is trained alone."""
ENDED = {"succeeded", "failed", "cancelled"}


class Stack:
    """`dti serve` on a home folder; a killed one can be started again on the same folder and port."""

    def __init__(self, home, *, command=CLI, **environment):
        self.port = free_port()
        self.home = home
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.client = ApiClient(self.url)
        program = Program(
            name="serve",
            argv=[*command, "serve"],
            # One thread a process: repeatable to the bit, and two workers do not fight for two cores.
            environment={
                "OMP_NUM_THREADS": "1",
                "DTI_HOME": str(home),
                "DTI_PORT": str(self.port),
                **environment,
            },
            ready=lambda: responds(self.port),
            start_timeout_s=120,
            stop_timeout_s=60,
        )
        self.serve = Child(program, home / "logs")

    def start(self):
        self.serve.start()
        self.serve.wait_ready()

    def stop(self):
        self.client.close()
        self.serve.stop()

    def kill(self):
        """Kill every process of the stack, as a power cut would, and wait until the last one is gone."""
        family = [psutil.Process(self.serve.pid), *self.children().values()]
        os.kill(self.serve.pid, signal.SIGKILL)
        self.serve.stop()
        psutil.wait_procs(family[1:], timeout=20)

    def children(self):
        """The processes of the stack by role."""
        found = {}
        for process in psutil.Process(self.serve.pid).children():
            with contextlib.suppress(psutil.Error):
                found[role(process.cmdline())] = process
        return found


def role(command):
    """The role of a child of `dti serve`, from its command line."""
    if "--maintenance" in command:
        return "maintenance"
    return next(
        (name for name in ("api", "worker", "migrate", "rclone", "valkey-server") if name in " ".join(command)), ""
    )


def fail_afterwards(stack, job, message):
    """Make a failed job of one that has succeeded, in the database: no request makes a job fail."""
    with contextlib.closing(sqlite3.connect(stack.home / "dti.db", timeout=30)) as database, database:
        changed = database.execute(
            "UPDATE jobs SET status = 'failed', error_code = 'worker_lost', error_message = ? WHERE id = ?",
            (message, job["id"]),
        )
        assert changed.rowcount == 1


class ApiClient(httpx.Client):
    """The main requests of the HTTP API, one method each."""

    def __init__(self, url, key=None):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        super().__init__(base_url=url, timeout=90, trust_env=False, headers=headers)

    def train(self, name, pictures, *, class_word="dog", **training):
        files = [("images", (f"{number}.png", picture, "image/png")) for number, picture in enumerate(pictures)]
        fields = {"name": name, "class_word": class_word, "training": json.dumps(training)}
        return self.accepted(self.post("/v1/concepts", data=fields, files=files))["job"]

    def retrain(self, name, **training):
        body = {"training": training, "from": "class_word"}
        return self.accepted(self.post(f"/v1/concepts/{name}/train", json=body))["job"]

    def generate(self, prompt, **fields):
        return self.accepted(self.post("/v1/generations", json={"prompt": prompt, **fields}))

    def interpolate(self, start, end, **fields):
        return self.accepted(self.post("/v1/interpolations", json={"from": start, "to": end, **fields}))

    def wait(self, job, until=lambda job: job["status"] in ENDED, timeout_s=180):
        deadline = time.monotonic() + timeout_s
        while not until(now := self.get(f"/v1/jobs/{job['id']}").raise_for_status().json()):
            assert time.monotonic() < deadline, now
            assert now["status"] not in ENDED, now
            time.sleep(0.05)
        return now

    def succeeded(self, job):
        ended = self.wait(job)
        assert ended["status"] == "succeeded", ended["error"]
        return ended

    def embedding(self, name):
        return self.get(f"/v1/concepts/{name}").raise_for_status().json()["embedding"]

    @staticmethod
    def accepted(answer):
        assert answer.status_code == 202, answer.text
        return answer.json()

    def fetch(self, image):
        """A picture's bytes, from its address and without a key."""
        return httpx.get(image["url"], timeout=90, trust_env=False).raise_for_status().content


def drawings(colour, count=4, size=96):
    """Pictures of one simple object, each slightly different."""
    return [_drawing(colour, size, shift=8 * number) for number in range(count)]


def _drawing(colour, size, shift):
    picture = Image.new("RGB", (size, size), (230, 225 - shift, 200))
    ImageDraw.Draw(picture).ellipse((10 + shift, 20, 60 + shift, 70), fill=colour, outline="black", width=3)
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()
