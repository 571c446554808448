import pytest

JOB = {
    "id", "kind", "status", "model", "concepts", "input", "output", "progress", "error", "attempt",
    "cancel_requested", "created_at", "started_at", "finished_at", "links", "request_id", "device_s", "warnings",
    "interruption",
}  # fmt: skip

both_databases = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@both_databases
def test_a_generation_is_accepted_with_its_defaults(client, create_trained, worker):
    create_trained("my-dog")
    response = client.post("/v1/generations", json={"prompt": "a photo of <my-dog> on the beach", "num_images": 2})
    assert response.status_code == 202
    job = response.json()
    assert set(job) == JOB
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert [concept["name"] for concept in job["concepts"]] == ["my-dog"]
    assert job["concepts"][0]["embedding_sha256"]
    assert set(job["input"]) == {
        "prompt", "negative_prompt", "model", "num_images", "width", "height", "steps", "guidance_scale", "scheduler",
        "seed", "format", "guidance_rescale", "prompt_syntax", "clip_skip", "strict",
    }  # fmt: skip
    assert None not in job["input"].values()
    assert job["progress"] == {"step": 0, "total": 40, "loss": None, "eta_s": None, "queue_position": 0, "workers": 0}
    worker.work()
    job = client.get(f"/v1/jobs/{job['id']}").json()
    assert (job["status"], job["error"]) == ("succeeded", None)
    assert [image["seed"] for image in job["output"]["images"]] == [0, 1]
    assert all(image["url"] for image in job["output"]["images"])
    assert job["finished_at"] >= job["started_at"] >= job["created_at"]


def test_an_interpolation_is_accepted_between_two_concepts(client, create_trained):
    create_trained("one")
    create_trained("other")
    body = {"from": "one", "to": "other", "frames": 3, "prompt": "a photo of {}", "method": "lerp", "animation": "gif"}
    response = client.post("/v1/interpolations", json=body)
    assert response.status_code == 202, response.text
    job = response.json()
    assert (job["kind"], job["input"]["shares"], job["input"]["method"]) == ("interpolate", [0.0, 0.5, 1.0], "lerp")
    assert [concept["name"] for concept in job["concepts"]] == ["one", "other"]


def test_a_concept_that_is_unknown_or_not_ready_is_named(client, post_concept, create_trained):
    create_trained("ready")
    post_concept("unready")
    cases = {
        "/v1/generations": [
            ({"prompt": "<nobody> and <noone>"}, 422, "unknown_concept", ["nobody", "noone"]),
            ({"prompt": "x", "negative_prompt": "<nobody>"}, 422, "unknown_concept", ["nobody"]),
            ({"prompt": "<unready>"}, 409, "concept_not_ready", ["unready"]),
        ],
        "/v1/interpolations": [
            ({"from": "nobody", "to": "ready"}, 422, "unknown_concept", ["nobody"]),
            ({"from": "ready", "to": "unready"}, 409, "concept_not_ready", ["unready"]),
        ],
    }
    for route, refusals in cases.items():
        for body, status, code, names in refusals:
            response = client.post(route, json=body)
            assert (response.status_code, response.json()["code"], response.json()["names"]) == (status, code, names)
            assert all(f"<{name}>" in response.json()["detail"] for name in names)


REFUSED = [
    ({}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": "x" * 2501}, "prompt"),
    ({"prompt": "NUL \0"}, "prompt"),
    ({"prompt": 5}, "prompt"),
    ({"prompt": None}, "prompt"),
    ({"prompt": "x", "colour": "red"}, "colour"),
    ({"prompt": "x", "num_images": 17}, "num_images"),
    ({"prompt": "x", "num_images": 0}, "num_images"),
    ({"prompt": "x", "num_images": True}, "num_images"),
    ({"prompt": "x", "num_images": "2"}, "num_images"),
    ({"prompt": "x", "steps": 151}, "steps"),
    ({"prompt": "x", "width": 65}, "width"),
    ({"prompt": "x", "height": 2048}, "height"),
    ({"prompt": "x", "seed": 2**53}, "seed"),
    ({"prompt": "x", "seed": 2**70}, "seed"),
    ({"prompt": "x", "seed": -1}, "seed"),
    ({"prompt": "x", "guidance_scale": -1}, "guidance_scale"),
    ({"prompt": "x", "format": "bmp"}, "format"),
]


def test_an_invalid_field_is_refused_with_its_path_and_nothing_is_queued(client):
    for body, field in REFUSED:
        response = client.post("/v1/generations", json=body)
        assert (response.status_code, response.json()["code"]) == (422, "invalid_input"), body
        assert field in [error["field"] for error in response.json()["errors"]]
    assert client.get("/v1/jobs").json()["items"] == []


def test_unknown_models_and_schedulers_have_their_own_codes(client):
    for body, code in (({"model": "nobody"}, "unknown_model"), ({"scheduler": "magic"}, "unknown_scheduler")):
        response = client.post("/v1/generations", json={"prompt": "x", **body})
        assert (response.status_code, response.json()["code"]) == (422, code)


BODIES = [
    (b'{"prompt": "\\ud800"}', 422),
    (b'{"\\ud800": 1, "prompt": "x"}', 422),
    (b'{"prompt": "\\u0000"}', 422),
    (b'{"prompt": "x", "guidance_scale": NaN}', 422),
    (b'{"prompt": "x", "guidance_scale": 1e999}', 422),
    (b'{"prompt": "x", "seed": ' + b"9" * 100 + b"}", 422),
    (b'{"prompt": "x", "seed": ' + b"9" * 5000 + b"}", 400),
    (b"[" * 100_000, 400),
    (b'{"prompt": "x"', 400),
    (b"\xff\xfe", 400),
    (b"", 422),
    (b"[]", 422),
    (b"null", 422),
    (b'"text"', 422),
]


@both_databases
def test_no_body_causes_a_server_error(client):
    for body, status in BODIES:
        response = client.post("/v1/generations", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == status, body[:50]
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["status"] == status


@both_databases
def test_no_path_and_no_query_causes_a_server_error(client):
    texts = ("%00", "%ED%A0%80", "%FF", "a%2Fb", "..", "%20", "x" * 5000, "%F0%9F%90%B6")
    for text in texts:
        for path in ("/v1/concepts/", "/v1/jobs/", "/v1/jobs?concept=", "/v1/concepts?cursor=", "/v1/jobs?limit="):
            response = client.get(path + text)
            assert response.status_code in {200, 404, 422}, path + text


def test_an_infinite_weight_is_refused_before_it_is_queued(client):
    body = {"prompt": f"a (cat:{'9' * 400})", "prompt_syntax": "a1111"}
    answer = client.post("/v1/generations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_setting")
    assert "at most 100" in answer.json()["detail"]
    assert client.get("/v1/jobs").json()["items"] == []
