"""One request id, from the request to the last line about its job."""

import json

import pytest
import sqlalchemy

from service.database.tables import Delivery


@pytest.fixture
def lines(caplog):
    caplog.set_level("INFO")
    return lambda message: [record for record in caplog.records if record.getMessage() == message]


def generate(client, **headers):
    body = {"prompt": "a dog", "webhook": {"url": "https://dti.example/hook", "events": ["job.running"]}}
    return client.post("/v1/generations", json=body, headers=headers)


def test_the_id_of_a_request_is_in_the_response_its_line_the_job_its_events_and_its_messages(
    client, worker, service, lines
):
    response = generate(client, **{"X-Request-ID": "order-17"})
    assert response.headers["X-Request-ID"] == "order-17"
    job = response.json()
    assert job["request_id"] == "order-17"
    (claim,) = worker.claim()
    assert claim.request_id == "order-17"
    client.post(f"/v1/jobs/{job['id']}/cancel", headers={"X-Request-ID": "another"})
    assert client.get(f"/v1/jobs/{job['id']}").json()["request_id"] == "order-17"
    with service.database.reading() as session:
        (message,) = session.scalars(sqlalchemy.select(Delivery.body))
    assert json.loads(message)["data"]["request_id"] == "order-17"
    posted = next(line for line in lines("request") if line.route == "/v1/generations")
    assert (posted.method, posted.status, posted.owner, posted.key) == ("POST", 202, "own_local", None)
    assert {line.request for line in lines("job") if line.job == job["id"]} == {"order-17"}


SPAN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_the_span_of_a_request_is_in_its_line_its_job_and_the_lines_of_the_job(client, worker, lines):
    job = generate(client, traceparent=SPAN).json()
    (claim,) = worker.claim()
    assert claim.traceparent == SPAN
    client.post(f"/v1/jobs/{job['id']}/cancel", headers={"traceparent": SPAN.replace("4bf9", "0000")})
    assert {line.traceparent for line in lines("job") if line.job == job["id"]} == {SPAN}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "hello",
        SPAN.upper(),
        SPAN + "0",
        SPAN.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'0' * 16}-01",
    ],
)
def test_a_malformed_span_is_ignored(client, worker, header):
    assert generate(client, traceparent=header).status_code == 202
    (claim,) = worker.claim()
    assert claim.traceparent is None


def test_events_of_a_stream_carry_the_id_of_the_request(client, worker):
    job = generate(client, **{"X-Request-ID": "order-18"}).json()
    worker.work()
    stream = client.get(f"/v1/jobs/{job['id']}/events").text
    states = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    assert {state["request_id"] for state in states if "status" in state} == {"order-18"}


def test_a_request_without_an_id_gets_one_and_so_does_its_job(client):
    response = generate(client)
    assert response.headers["X-Request-ID"].startswith("req_")
    assert response.json()["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/jobs/job_unknown", "/health/live"])
def test_every_response_has_an_id_errors_included(client, path):
    assert client.get(path, headers={"X-Request-ID": "abc"}).headers["X-Request-ID"] == "abc"


def test_a_line_has_the_template_of_the_route_and_neither_path_nor_query(client, lines):
    client.get("/v1/jobs/job_secret", params={"token": "hush"})
    line = next(line for line in lines("request") if line.route)
    assert line.route == "/v1/jobs/{job_id}"
    assert "hush" not in str(vars(line))
    assert "job_secret" not in str(vars(line))


def test_probes_leave_no_line(client, lines):
    client.get("/health/live")
    client.get("/metrics")
    assert lines("request") == []
