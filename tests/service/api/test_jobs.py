import json
import threading
import time
from itertools import islice

import httpx
import pytest
import sqlalchemy

from service import jobs
from service.database.tables import Job

both_databases = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


def generate(client, **headers):
    return client.post("/v1/generations", json={"prompt": "a dog"}, headers=headers)


def events(lines):
    """The events of a stream: (number, name, data)."""
    number, name = None, None
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "id":
            number = int(value)
        elif field == "event":
            name = value
        elif field == "data":
            yield number, name, json.loads(value)


# --- listed, read, cancelled, measured


def test_a_failed_job_is_retried_and_its_stream_ends_once(client, worker):
    job_id = generate(client).json()["id"]
    (claim,) = worker.claim()
    worker.write(jobs.fail, claim, "worker_lost", "It was lost.")
    response = client.post(f"/v1/jobs/{job_id}/retry")
    assert (response.status_code, response.json()["status"], response.json()["error"]) == (202, "queued", None)
    assert client.post(f"/v1/jobs/{job_id}/retry").json()["id"] == job_id
    worker.work()
    assert client.get(f"/v1/jobs/{job_id}").json()["status"] == "succeeded"
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as response:
        names = [name for _, name, _ in events(response.iter_lines())]
    assert (names.count("done"), names[-1]) == (1, "done")
    response = client.post(f"/v1/jobs/{job_id}/retry")
    assert (response.status_code, response.json()["code"]) == (409, "job_not_failed")
    assert client.post("/v1/jobs/job_nothing/retry").status_code == 404


def test_an_interruption_is_told_with_its_reason_and_forgotten_by_a_retry(client, worker):
    job_id = generate(client).json()["id"]
    assert client.get(f"/v1/jobs/{job_id}").json()["interruption"] is None
    (claim,) = worker.claim()
    worker.write(jobs.lose, claim, jobs.Loss(code="device_lost", max_attempts=2))
    queued = client.get(f"/v1/jobs/{job_id}").json()
    assert (queued["status"], queued["interruption"]["code"]) == ("queued", "device_lost")
    assert "the device failed" in queued["interruption"]["message"]
    (claim,) = worker.claim()
    worker.write(jobs.lose, claim, jobs.Loss(code="device_lost", max_attempts=2))
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as response:
        told = [data["interruption"] for _, name, data in events(response.iter_lines()) if name == "status"]
    codes = [interruption and interruption["code"] for interruption in told]
    assert codes == [None, None, "device_lost", "device_lost", "device_lost"]
    assert client.post(f"/v1/jobs/{job_id}/retry").json()["interruption"] is None


@both_databases
def test_jobs_are_listed_in_pages_and_by_filters(client, post_concept, worker):
    trained = post_concept("my-dog").json()["job"]["id"]
    worker.work()
    made = [client.post("/v1/generations", json={"prompt": "<my-dog>"}).json()["id"] for _ in range(3)]
    assert [job["id"] for job in client.get("/v1/jobs").json()["items"]] == [*reversed(made), trained]
    first = client.get("/v1/jobs", params={"kind": "generate", "limit": 2}).json()
    rest = client.get("/v1/jobs", params={"kind": "generate", "limit": 2, "cursor": first["next"]}).json()
    assert [job["id"] for job in (*first["items"], *rest["items"])] == [*reversed(made)]
    assert rest["next"] is None
    assert [job["id"] for job in client.get("/v1/jobs?status=succeeded").json()["items"]] == [trained]
    assert len(client.get("/v1/jobs?concept=my-dog").json()["items"]) == 4
    assert client.get("/v1/jobs?concept=nobody").json()["items"] == []
    worker.work()
    urls = [image["url"] for job in client.get("/v1/jobs").json()["items"] for image in job["output"]["images"]]
    assert urls == [None, None, None]


def test_lists_refuse_unknown_filters(client):
    for query in ("kind=dream", "status=happy", "limit=0", "limit=101", "limit=" + "9" * 30, "cursor=nonsense"):
        response = client.get(f"/v1/jobs?{query}")
        assert (response.status_code, response.json()["code"]) == (422, "invalid_input"), query


def test_a_list_costs_the_same_for_a_long_queue_as_for_a_short_one(client, service):
    statements = []
    sqlalchemy.event.listen(
        service.database.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2])
    )
    counts = []
    for _ in range(3):
        generate(client)
        statements.clear()
        client.get("/v1/jobs")
        counts.append(len(statements))
    assert counts[0] == counts[2]


def test_a_job_has_its_queue_position(client):
    made = [generate(client).json()["id"] for _ in range(3)]
    assert [client.get(f"/v1/jobs/{job_id}").json()["progress"]["queue_position"] for job_id in made] == [0, 1, 2]


@both_databases
def test_a_queued_job_is_cancelled_at_once_and_cancelling_is_idempotent(client):
    job_id = generate(client).json()["id"]
    for _ in range(2):
        response = client.post(f"/v1/jobs/{job_id}/cancel")
        assert (response.status_code, response.json()["status"]) == (202, "cancelled")


def test_a_running_job_gets_a_cancellation_request_and_an_ended_one_refuses(client, worker):
    job_id = generate(client).json()["id"]
    (claim,) = worker.claim()
    response = client.post(f"/v1/jobs/{job_id}/cancel")
    assert response.status_code == 202
    assert (response.json()["status"], response.json()["cancel_requested"]) == ("running", True)
    worker.finish(claim)
    response = client.post(f"/v1/jobs/{job_id}/cancel")
    assert (response.status_code, response.json()["code"]) == (409, "job_ended")


def test_a_training_has_its_loss_curve(client, post_concept, worker):
    job_id = post_concept("my-dog").json()["job"]["id"]
    (claim,) = worker.claim()
    worker.write(jobs.add_metrics, claim, [1, 2], [0.5, float("nan")], [0.04, 0.08])
    curve = client.get(f"/v1/jobs/{job_id}/metrics").json()
    assert curve == {"step": [1, 2], "loss": [0.5, None], "angle": [0.04, 0.08]}


def test_a_failed_job_has_its_error(client, worker):
    job_id = generate(client).json()["id"]
    (claim,) = worker.claim()
    worker.write(jobs.fail, claim, "training_diverged", "The loss was nan.")
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["error"]) == ("failed", {"code": "training_diverged", "message": "The loss was nan."})


@pytest.mark.parametrize("call", ["", "/events", "/metrics"])
def test_an_unknown_job_is_not_found(client, call):
    assert client.get(f"/v1/jobs/job_nobody{call}").status_code == 404


# --- waiting


def test_prefer_wait_delays_the_response_until_the_job_ends(client, worker):
    responses = []
    asking = threading.Thread(target=lambda: responses.append(generate(client, Prefer="wait=30")))
    asking.start()
    while not worker.work():
        time.sleep(0.02)
    asking.join()
    assert responses[0].status_code == 201
    assert responses[0].headers["Preference-Applied"] == "wait=30"
    assert responses[0].headers["Location"] == responses[0].json()["links"]["self"]
    assert responses[0].json()["status"] == "succeeded"
    assert responses[0].json()["output"]["images"][0]["url"]


def test_after_the_wait_the_current_job_is_returned(client):
    response = generate(client, Prefer="wait=1")
    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert response.headers["Preference-Applied"] == "wait=1"


def test_prefer_wait_works_for_trainings(client, post_concept, worker):
    responses = []
    asking = threading.Thread(target=lambda: responses.append(post_concept("my-dog", headers={"Prefer": "wait"})))
    asking.start()
    while not worker.work():
        time.sleep(0.02)
    asking.join()
    assert responses[0].status_code == 201
    assert responses[0].headers["Preference-Applied"] == "wait=60"
    assert (responses[0].json()["concept"]["ready"], responses[0].json()["job"]["status"]) == (True, "succeeded")


# --- followed


@both_databases
def test_a_stream_has_every_event_and_ends_with_the_job(client, post_concept, worker):
    job_id = post_concept("my-dog").json()["job"]["id"]
    (claim,) = worker.claim()
    worker.progress(claim, 1, loss=float("nan"))
    worker.add(claim, "preview", 1)
    worker.finish(claim)
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        stream_events = list(events(stream.iter_lines()))
    assert [number for number, _, _ in stream_events] == list(range(1, len(stream_events) + 1))
    assert [name for _, name, _ in stream_events] == ["status", "status", "progress", "preview", "status", "done"]
    assert stream_events[2][2] == {
        "step": 1,
        "total": 400,
        "loss": None,
        "eta_s": 1.5,
        "queue_position": None,
        "workers": None,
    }
    assert httpx.get(stream_events[3][2]["url"]).status_code == 200
    assert [data["status"] for _, name, data in stream_events if name in {"status", "done"}] == [
        "queued",
        "running",
        "succeeded",
        "succeeded",
    ]
    assert stream_events[-1][2]["output"]["images"][0]["id"] == stream_events[3][2]["id"]


def test_a_late_listener_gets_the_states_that_were_stored(client, worker):
    job_id = generate(client).json()["id"]
    (claim,) = worker.claim()
    worker.progress(claim, 5)
    client.post(f"/v1/jobs/{job_id}/cancel")
    worker.write(jobs.fail, claim, "out_of_memory", "Too little memory.")
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        stream_events = [data for _, name, data in events(stream.iter_lines()) if name in {"status", "done"}]
    states = [
        (job["status"], job["attempt"], job["cancel_requested"], job["progress"]["step"]) for job in stream_events
    ]
    assert states == [
        ("queued", 0, False, 0),
        ("running", 1, False, 0),
        ("running", 1, True, 5),
        ("failed", 1, True, 5),
        ("failed", 1, True, 5),
    ]
    assert [job["error"] is not None for job in stream_events] == [False, False, False, True, True]
    assert [job["finished_at"] is not None for job in stream_events] == [False, False, False, True, True]
    assert {job["started_at"] for job in stream_events[1:]} == {client.get(f"/v1/jobs/{job_id}").json()["started_at"]}
    assert stream_events[-1] == client.get(f"/v1/jobs/{job_id}").json()


def test_only_the_newest_event_has_the_queue_position(client, worker):
    first, second = generate(client).json()["id"], generate(client).json()["id"]
    with client.stream("GET", f"/v1/jobs/{second}/events") as stream:
        assert next(events(stream.iter_lines()))[2]["progress"]["queue_position"] == 1
    worker.work()
    for job_id in (first, second):
        with client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
            positions = [data["progress"]["queue_position"] for _, _, data in events(stream.iter_lines())]
        assert positions == [None] * 4


def test_a_stream_resumes_after_the_last_event_id(client, worker):
    job_id = generate(client).json()["id"]
    worker.work()
    for seen in (0, 1, 3):
        with client.stream("GET", f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(seen)}) as stream:
            stream_events = [number for number, _, _ in events(stream.iter_lines())]
        assert stream_events == list(range(seen + 1, 5))


def test_a_listener_that_has_the_last_event_gets_204(client, worker):
    job_id = generate(client).json()["id"]
    worker.work()
    for number in ("4", "999999999999999999999"):
        response = client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": number})
        assert (response.status_code, response.content) == (204, b"")


@pytest.mark.parametrize("number", ["nonsense", "-1", "²", ""])
def test_an_unknown_last_event_id_means_the_beginning(client, worker, number):
    job_id = generate(client).json()["id"]
    worker.work()
    headers = {"Last-Event-ID": number.encode()}
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as stream:
        assert [number for number, _, _ in events(stream.iter_lines())] == [1, 2, 3, 4]


def test_many_listeners_get_the_same_live_events(client, worker, settings):
    job_id = generate(client).json()["id"]
    received, joined = [], threading.Barrier(21)

    def listen():
        with httpx.stream("GET", f"{client.base_url}/v1/jobs/{job_id}/events", timeout=20) as stream:
            lines = stream.iter_lines()
            first = next(events(lines))
            joined.wait()
            received.append([first[0], *(number for number, _, _ in events(lines))])

    listeners = [threading.Thread(target=listen) for _ in range(20)]
    for listener in listeners:
        listener.start()
    joined.wait()
    (claim,) = worker.claim()
    for step in range(1, 6):
        worker.progress(claim, step)
    worker.finish(claim)
    for listener in listeners:
        listener.join()
    assert received == [list(range(1, 10))] * 20


def test_a_deleted_job_ends_its_own_streams_only(client, worker, service, monkeypatch):
    monkeypatch.setattr("api.routes.jobs._KEEPALIVE_INTERVAL_S", 0.1)
    lost, kept = generate(client).json()["id"], generate(client).json()["id"]
    with (
        client.stream("GET", f"/v1/jobs/{lost}/events") as lost_stream,
        client.stream("GET", f"/v1/jobs/{kept}/events") as kept_stream,
    ):
        lost_lines, kept_events = lost_stream.iter_lines(), events(kept_stream.iter_lines())
        assert next(line for line in lost_lines if line.startswith("id: ")) == "id: 1"
        assert next(kept_events)[0] == 1
        with service.database.writing() as session:
            session.delete(session.get(Job, lost))
        assert len(list(islice(lost_lines, 100))) < 100
        worker.work()
        assert [name for _, name, _ in kept_events][-1] == "done"


def test_a_quiet_stream_sends_keep_alives(client, monkeypatch):
    monkeypatch.setattr("api.routes.jobs._KEEPALIVE_INTERVAL_S", 0.1)
    job_id = generate(client).json()["id"]
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        comments = (line for line in stream.iter_lines() if line.startswith(":"))
        assert next(comments)
        assert next(comments)


def test_streams_are_closed_when_the_server_stops(client, running):
    job_id = generate(client).json()["id"]
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        lines = stream.iter_lines()
        next(events(lines))
        began = time.monotonic()
        running.handle_exit(15, None)
        assert list(events(lines)) == []
    assert time.monotonic() - began < 3
