"""RPCs over HTTP, with a real worker on a real model."""

import io
import pickle
import signal
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import httpx
import pytest
import torch
from safetensors.torch import save
from sqlalchemy import select

from api.server import server
from dti.embeddings.mixing import blend
from dti.formats import detect_and_read
from service.database.tables import LOCAL_OWNER_ID, Job
from stack.processes import LOOPBACK, free_port
from tests.support.worker_driver import MODEL, until

PAUSE_S = 0.01
WIDTH = 32


@pytest.fixture
def rpc_timeout_s():
    """Long, unless a test parametrises it."""
    return 120.0


@pytest.fixture
def environment(environment, rpc_timeout_s):
    port = free_port()
    addresses = {"DTI_PORT": str(port), "DTI_S3_PUBLIC_ENDPOINT": f"http://{LOOPBACK}:{port}"}
    return {**environment, **addresses, "DTI_RPC_TIMEOUT_S": str(rpc_timeout_s), "DTI_LIMIT_EMBEDDING_BYTES": "100000"}


@pytest.fixture
def http(service, settings):
    """A client of a listening API."""
    api = server(service)
    thread = threading.Thread(target=api.run)
    thread.start()
    until(lambda: api.started)
    with httpx.Client(base_url=f"http://{settings.host}:{settings.port}/v1", timeout=150) as client:
        yield client
    api.handle_exit(signal.SIGTERM, None)
    thread.join(timeout=10)
    assert not thread.is_alive()


@pytest.fixture
def running_worker(worker):
    """A worker that runs its loop again and again."""
    thread = threading.Thread(target=work_until_stopped, args=(worker,))
    thread.start()
    yield worker
    worker.stopping.set()
    thread.join(timeout=30)
    assert not thread.is_alive()


@pytest.fixture
def served(http, trained, running_worker):
    """A client of an API with a running worker and two trained concepts."""
    return http


def work_until_stopped(worker):
    while not worker.stopping.wait(PAUSE_S):
        worker.work()


@pytest.fixture
def trained(client, worker):
    """Two trained concepts."""
    client.train("dog-a", seed=1, steps=2)
    client.train("dog-b", seed=2, steps=2)
    worker.work()
    return "dog-a", "dog-b"


def post_import(http, data, name="mine", headers=None, **fields):
    form = {"name": name, "class_word": "dog", "model": MODEL, **fields}
    return http.post("/concepts/import", data=form, files={"file": ("embedding", data)}, headers=headers)


def stored(service, prefix=""):
    listed = service.storage._client.list_objects_v2(Bucket=service.settings.s3_bucket, Prefix=f"{LOCAL_OWNER_ID}/")
    return sorted(entry["Key"] for entry in listed.get("Contents", []) if f"/{prefix}" in entry["Key"])


def test_a_blend_is_the_librarys_mean_and_ready_at_once(served, client):
    parts = [{"concept": "dog-a", "weight": 2.0}, {"concept": "dog-b", "weight": 1}]
    answer = served.post("/concepts/blend", json={"name": "mixed", "parts": parts})
    assert answer.status_code == 201, answer.text
    concept = answer.json()
    assert (concept["ready"], concept["method"], concept["class_word"]) == (True, "blend", "dog")
    assert (concept["job"], concept["images"], concept["training"]) == (None, [], {})
    assert answer.headers["Location"] == f"/v1/concepts/{concept['id']}"
    expected = blend([(client.embedding("dog-a"), 2.0), (client.embedding("dog-b"), 1.0)])
    assert client.embedding("mixed").to_bytes() == replace(expected, trigger="mixed").to_bytes()
    generation = served.post(
        "/generations", json={"prompt": "a photo of <mixed>", "steps": 2}, headers={"Prefer": "wait"}
    )
    assert generation.json()["status"] == "succeeded"
    refused = served.post("/concepts/mixed/train", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "no_pictures")


@pytest.mark.parametrize("file_format", ["dti", "diffusers", "a1111", "comfyui", "replicate"])
def test_an_export_can_be_imported_again_unchanged(served, client, service, file_format):
    answer = served.get("/concepts/dog-a/embedding", params={"format": file_format})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="dog-a.')
    detect_and_read(answer.content)
    again = post_import(served, answer.content)
    assert again.status_code == 201, again.text
    before, after = (client.embedding(name).rows["text_encoder"] for name in ("dog-a", "mine"))
    assert torch.equal(before.vectors, after.vectors)
    norms = again.json()["norms"]["text_encoder"]
    assert norms["before"] == norms["after"] == pytest.approx(before.magnitude.flatten().tolist())
    assert (again.json()["method"], client.embedding("mine").trigger) == ("import", "mine")
    assert stored(service, "rpc") == []


def test_an_inflated_row_is_normalized_on_request(served, client):
    rows = client.embedding("dog-a").rows["text_encoder"]
    answer = post_import(served, save({"<fat>": 90 * rows.direction}), normalize="true")
    norms = answer.json()["norms"]["text_encoder"]
    assert norms["before"] == pytest.approx([90], rel=1e-5)
    assert norms["after"] == pytest.approx(rows.magnitude.flatten().tolist(), rel=1e-5)


def test_neighbours_are_computed_once_and_kept(served, running_worker, client, service):
    answer = served.get("/concepts/dog-a/neighbours", params={"k": 3})
    assert answer.status_code == 200, answer.text
    (words,) = answer.json()["encoders"]["text_encoder"]
    assert len(words) == 3
    assert words[0]["cosine"] >= words[1]["cosine"] >= words[2]["cosine"]
    assert rpcs_of(service) == []
    with service.database.writing() as session:
        version = session.merge(client.concept("dog-a").embedding)
        version.neighbours = None
    recomputed = served.get("/concepts/dog-a/neighbours", params={"k": 3})
    assert recomputed.json() == answer.json()
    assert len(rpcs_of(service)) == 1
    running_worker.stopping.set()
    assert served.get("/concepts/dog-a/neighbours", params={"k": 3}).json() == answer.json()


class Payload:
    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def pickled(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


MALFORMED = {
    "empty": b"",
    "text": b"I am an embedding",
    "a cut file": save({"<x>": torch.ones(1, WIDTH)})[:40],
    "a header without end": b"\xff\xff\xff\xff\xff\xff\xff\x7f{",
    "a header of a gigabyte": (1 << 30).to_bytes(8, "little") + b"{" + b" " * 1000,
    "NaN": save({"<x>": torch.full((1, WIDTH), torch.nan)}),
    "whole numbers": save({"<x>": torch.ones(1, WIDTH, dtype=torch.int64)}),
    "a cube": save({"<x>": torch.ones(2, 2, WIDTH)}),
    "a row of zeros": save({"<x>": torch.zeros(1, WIDTH)}),
    "rows of another width": save({"<x>": torch.ones(1, 17)}),
    "rows of an encoder that is not there": save({"clip_l": torch.ones(1, WIDTH), "clip_g": torch.ones(1, 64)}),
    "a pickle with code": pickle.dumps(Payload()),
    "a torch file with code": pickled({"string_to_param": Payload()}),
    "a zip of nothing": zipped(),
    "a zip of zips": zipped(a=zipped(b=b"c")),
}


def test_a_malformed_file_is_refused_with_a_code_and_not_stored(http, running_worker, client, service, subtests):
    for kind, data in MALFORMED.items():
        with subtests.test(kind):
            answer = post_import(http, data)
            assert answer.status_code == 422, answer.text
            assert answer.json()["code"] in {"embedding_unreadable", "embedding_mismatch"}
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert stored(service) == []
    assert http.get("/concepts").json()["items"] == []
    assert http.get("/jobs").json()["items"] == []


@pytest.mark.parametrize("rpc_timeout_s", [1.0])
def test_without_a_worker_an_import_is_answered_503_and_cancelled(http, trained, client, worker):
    data = client.embedding("dog-a").to_bytes()
    answer = post_import(http, data)
    assert (answer.status_code, answer.json()["code"]) == (503, "worker_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    worker.work()
    assert http.get("/concepts/mine").status_code == 404
    assert [rpc.status for rpc in rpcs_of(client.service)] == ["cancelled"]
    assert stored(client.service, "rpc") == []


def test_rpcs_about_a_concept_that_is_deleted_meanwhile_are_answered_concept_deleted(http, trained, client):
    """No worker runs, so that the RPCs wait."""
    parts = [{"concept": name, "weight": 1.0} for name in trained]
    calls = [
        lambda: http.post("/concepts/blend", json={"name": "mixed", "parts": parts}),
        lambda: http.get("/concepts/dog-b/embedding", params={"format": "a1111"}),
    ]
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(call) for call in calls]
        until(lambda: len(rpcs_of(client.service)) == len(calls))
        assert http.delete("/concepts/dog-b").status_code == 204
        answers = [call.result() for call in waiting]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "concept_deleted")] * 2
    assert [item["name"] for item in http.get("/concepts").json()["items"]] == ["dog-a"]


def test_of_two_concurrent_blends_of_one_name_one_is_refused_and_leaves_no_object(http, trained, client, worker):
    parts = [{"concept": name, "weight": 1.0} for name in trained]
    post = partial(http.post, "/concepts/blend", json={"name": "mixed", "parts": parts})
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(post) for _ in range(2)]
        until(lambda: len(rpcs_of(client.service)) == len(waiting))
        worker.work()
        answers = [call.result() for call in waiting]
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert {answer.json().get("code") for answer in answers} == {None, "name_taken"}
    assert len(stored(client.service, "embeddings")) == 3


def test_a_repeated_blend_or_import_with_its_key_is_answered_with_the_same_concept(served, client):
    parts = [{"concept": "dog-a", "weight": 1.0}]
    blending = partial(served.post, "/concepts/blend", json={"name": "mixed", "parts": parts})
    importing = partial(post_import, served, client.embedding("dog-a").to_bytes())
    for number, call in enumerate((blending, importing)):
        first, again = (call(headers={"Idempotency-Key": f"key-{number}"}) for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert call(headers={}).json()["code"] == "name_taken"
    assert stored(client.service, "rpc") == []


def test_a_blend_or_import_whose_api_process_died_is_repeated_under_its_key(http, trained, client, worker):
    """The request ends before its RPC, as with its process; the worker makes the concept; the repetition returns it."""
    parts = [{"concept": "dog-a", "weight": 1.0}]
    data = client.embedding("dog-a").to_bytes()
    for name, call in {
        "mixed": lambda http: http.post(
            "/concepts/blend", json={"name": "mixed", "parts": parts}, headers={"Idempotency-Key": "blend"}
        ),
        "mine": lambda http: post_import(http, data, headers={"Idempotency-Key": "import"}),
    }.items():
        with httpx.Client(base_url=http.base_url, timeout=1) as impatient, pytest.raises(httpx.ReadTimeout):
            call(impatient)
        worker.work()
        until(lambda: stored(client.service, "rpc") == [])
        again = call(http)
        assert (again.status_code, again.json()["name"]) == (201, name)


def test_the_key_of_a_failed_import_is_free_again(served):
    headers = {"Idempotency-Key": "import"}
    for _ in range(2):
        response = post_import(served, b"no embedding", headers=headers)
        assert (response.status_code, response.json()["code"]) == (422, "embedding_unreadable")


def test_a_client_that_disconnects_before_the_answer_does_no_harm(http, trained, client, worker):
    data = client.embedding("dog-a").to_bytes()
    with httpx.Client(base_url=http.base_url, timeout=1) as impatient, pytest.raises(httpx.ReadTimeout):
        post_import(impatient, data)
    worker.work()
    until(lambda: stored(client.service, "rpc") == [])
    assert http.get("/concepts/mine").json()["ready"]


def test_an_invalid_form_is_refused_before_the_file_is_stored(http, client):
    data = save({"<x>": torch.ones(1, WIDTH)})
    for fields, status, code in (
        ({"name": "No Name"}, 422, "invalid_input"),
        ({"class_word": " "}, 422, "invalid_input"),
        ({"model": "unknown"}, 422, "unknown_model"),
        ({"normalize": "perhaps"}, 422, "invalid_input"),
        ({"colour": "red"}, 422, "invalid_input"),
        ({"data": bytes(100_001)}, 413, "body_too_large"),
    ):
        answer = post_import(http, **{"data": data, **fields})
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert rpcs_of(client.service) == stored(client.service) == []


def rpcs_of(service):
    with service.database.reading() as session:
        return session.scalars(select(Job).where(Job.kind == "rpc")).all()
