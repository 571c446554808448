"""The whole stack of `dti serve`: the main job, and recovery of every killed process."""

import hashlib
import io
import os
import signal
import subprocess

import psutil
import pytest
from PIL import Image

from stack.home import Home
from stack.processes import port_is_free
from tests.support.stack import CLI, TRAINING, drawings

KILLED_AFTER = 60


def train_with_fault(stack, fault):
    """Train the same concept once more, with trouble in the middle; returns the embedding's digest and the job."""
    job = stack.client.retrain("ball", **TRAINING)
    stack.client.wait(job, until=lambda now: now["progress"]["step"] >= KILLED_AFTER)
    fault()
    ended = stack.client.succeeded(job)
    return stack.client.embedding("ball")["sha256"], ended


def test_the_main_job_from_pictures_to_an_interpolation(stack, untroubled):
    client = stack.client
    client.succeeded(client.train("cube", drawings("navy"), **TRAINING | {"steps": 20}))
    generation = client.succeeded(client.generate("a photo of <ball> and <cube>", num_images=2, seed=3, steps=4))
    assert [image["seed"] for image in generation["output"]["images"]] == [3, 4]
    for image in generation["output"]["images"]:
        data = client.fetch(image)
        assert hashlib.sha256(data).hexdigest() == image["sha256"]
        assert Image.open(io.BytesIO(data)).size == (image["width"], image["height"])
    interpolation = client.succeeded(
        client.interpolate("ball", "cube", frames=3, steps=4, animation="gif", contact_sheet=True)
    )
    assert [image["share"] for image in interpolation["output"]["images"]] == [0.0, 0.5, 1.0]
    assert Image.open(io.BytesIO(client.fetch(interpolation["output"]["animation"]))).n_frames == 3
    assert client.fetch(interpolation["output"]["contact_sheet"])


def test_an_embedding_is_exported_imported_and_blended_synchronously(stack, untroubled):
    client = stack.client
    home = client.get("/v1/concepts/ball/embedding", params={"format": "a1111"}).raise_for_status().content
    fields = {"name": "again", "class_word": "dog", "model": "tiny"}
    back = client.post("/v1/concepts/import", data=fields, files={"file": ("ball.pt", home)})
    assert (back.status_code, back.json()["ready"]) == (201, True), back.text
    parts = [{"concept": name, "weight": 1.0} for name in ("ball", "again")]
    blended = client.post("/v1/concepts/blend", json={"name": "both", "parts": parts})
    assert (blended.status_code, blended.json()["ready"]) == (201, True), blended.text
    (ours,), (again,) = (
        client.get(f"/v1/concepts/{name}/neighbours").json()["encoders"]["text_encoder"] for name in ("ball", "again")
    )
    assert [word["token"] for word in again] == [word["token"] for word in ours]
    # The vectors are the same bit for bit; split into direction and norm they may differ in the last place.
    assert [word["cosine"] for word in again] == pytest.approx([word["cosine"] for word in ours], abs=1e-6)


def test_a_second_stack_on_the_same_folder_is_refused_clearly(stack):
    second = subprocess.run(
        [*CLI, "serve"],
        env={**os.environ, "DTI_HOME": str(stack.home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert second.returncode == 1
    assert f"in use by the stack at {stack.url}" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_training_whose_worker_is_killed_gives_the_same_embedding(stack, untroubled):
    def kill_the_worker():
        worker = stack.children()["worker"]
        worker.kill()
        psutil.wait_procs([worker], timeout=10)

    digest, job = train_with_fault(stack, kill_the_worker)
    assert digest == untroubled
    assert job["attempt"] > 1


def test_a_training_continues_after_the_whole_stack_was_killed(stack, untroubled):
    def kill_everything():
        stack.kill()
        stack.start()

    digest, job = train_with_fault(stack, kill_everything)
    assert digest == untroubled
    assert job["attempt"] > 1


@pytest.mark.parametrize("name", ["valkey-server", "rclone", "maintenance", "api"])
def test_any_other_killed_child_is_restarted_and_jobs_continue(stack, untroubled, name):
    child = stack.children()[name]
    child.kill()
    psutil.wait_procs([child], timeout=10)
    stack.serve.wait_ready()
    while name not in stack.children():
        assert stack.serve.running
    stack.serve.wait_ready()
    job = stack.client.succeeded(stack.client.generate("a photo of <ball>", steps=2))
    assert stack.client.fetch(job["output"]["images"][0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_every_child_and_the_data_stays(stack, untroubled, number):
    family = list(stack.children().values())
    assert len(family) == 5
    os.kill(stack.serve.pid, number)
    stack.serve.wait_finished()
    assert not [process for process in family if process.is_running()]
    assert port_is_free(stack.port)
    assert Home(stack.home).holder() is None
    stack.start()
    assert stack.client.embedding("ball")["sha256"] == untroubled
