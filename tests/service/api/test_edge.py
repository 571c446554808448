"""The edge of the API: body limits, host names, origins, problems, health, documentation, signed URLs."""

import base64
import hashlib
import json
import re
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest

from dti.spec.registry import METHODS
from service.database.tables import LOCAL_OWNER_ID
from tests.support.upload_samples import png

# --- who may call


def test_only_host_names_of_this_machine_are_served(client, settings):
    for host in ("localhost", "127.0.0.1", f"LOCALHOST:{settings.port}", "[::1]:80"):
        assert client.get("/health/live", headers={"Host": host}).status_code == 200
    for host in ("evil.example", f"127.0.0.1.evil.example:{settings.port}", "", "localhost.evil.example", "[::1"):
        response = client.get("/v1/jobs", headers={"Host": host})
        assert response.status_code in {400, 403}, host
    response = client.get("/v1/jobs", headers={"Host": "evil.example"})
    assert (response.status_code, response.json()["code"]) == (403, "foreign_host")


def test_another_origin_is_refused_and_the_services_own_is_not(client, settings):
    own = f"http://127.0.0.1:{settings.port}"
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", f"http://localhost:{settings.port}", "x"):
        for call in (client.get, client.post, client.options):
            response = call("/v1/generations", headers={"Origin": origin})
            assert (response.status_code, response.json()["code"]) == (403, "foreign_origin"), origin
    assert client.get("/v1/jobs", headers={"Origin": own}).status_code == 200


def test_an_authorization_header_is_ignored_without_authentication(client):
    assert client.get("/v1/jobs", headers={"Authorization": "Bearer nonsense"}).status_code == 200


# --- how much is taken


@pytest.mark.parametrize("more_settings", [{"DTI_LIMIT_BODY_BYTES": "100000"}])
def test_a_body_over_the_limit_is_refused_with_and_without_content_length(client, settings):
    # A form up to its limit, or the parser may refuse it first.
    big = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n' + b"x" * 150_000
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    for path, headers in (("/v1/concepts", form), ("/v1/generations", {"Content-Type": "application/json"})):
        for body in (big, iter([big[:75_000], big[75_000:]])):
            response = client.post(path, content=body, headers=headers)
            assert (response.status_code, response.json()["code"]) == (413, "body_too_large"), path
            assert response.headers["Content-Type"] == "application/problem+json"


def test_a_json_body_has_its_own_lower_limit(client):
    body = b"[" + b"{}," * 400_000 + b"1]"
    for content in (body, iter([body[:500_000], body[500_000:]])):
        response = client.post("/v1/generations", content=content, headers={"Content-Type": "application/json"})
        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    file = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n' + body + b"\r\n--b--"
    assert client.post("/v1/concepts", content=file, headers=headers).status_code == 422


@pytest.mark.parametrize("more_settings", [{"DTI_LIMIT_BODY_BYTES": "100000"}])
def test_a_content_length_over_the_limit_is_refused_before_the_body_is_sent(running, settings):
    with socket.create_connection((settings.host, settings.port), timeout=10) as connection:
        head = "POST /v1/concepts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_malformed_form_is_a_malformed_body(client):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for body in (b"--b\r\nnonsense", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", b"\0" * 100):
        response = client.post("/v1/concepts", content=body, headers=headers)
        assert (response.status_code, response.json()["code"]) in {(400, "malformed_body"), (422, "invalid_input")}
    response = client.post("/v1/concepts", content=b"x", headers={"Content-Type": "multipart/form-data"})
    assert (response.status_code, response.json()["code"]) == (400, "malformed_body")


def test_a_truncated_form_is_refused(client):
    def part(name, value):
        return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\n' + value + b"\r\n"

    picture = part(b'images"; filename="a.png', png())
    whole = part(b"name", b"my-dog") + part(b"class_word", b"dog") + picture + picture + b"--b--"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for missing in (1, 5, 50, len(picture) + 5):
        response = client.post("/v1/concepts", content=whole[:-missing], headers=headers)
        assert (response.status_code, response.json()["code"]) == (400, "malformed_body"), missing
    assert client.get("/v1/concepts").json()["items"] == []
    in_pieces = iter([whole[:-3], whole[-3:], b"\r\n"])
    assert len(client.post("/v1/concepts", content=in_pieces, headers=headers).json()["concept"]["images"]) == 2


# --- problems


def test_every_refusal_is_a_problem(client):
    for method, path, status, code in (
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/nowhere", 404, "not_found"),
        ("PUT", "/v1/jobs", 405, "method_not_allowed"),
        ("POST", "/v1/jobs/job_x/cancel", 404, "not_found"),
        ("DELETE", "/v1/concepts/nobody", 404, "not_found"),
    ):
        response = client.request(method, path)
        assert response.headers["Content-Type"] == "application/problem+json"
        body = response.json()
        assert (response.status_code, body["status"], body["code"]) == (status, status, code)
        assert set(body) >= {"type", "title", "status", "code", "detail"}


def test_an_invalid_value_is_not_repeated_in_the_response(client):
    response = client.post("/v1/generations", json={"prompt": "x", "format": "secret-value"})
    assert "secret-value" not in response.text


def test_a_refusal_is_small_for_any_size_of_the_invalid_value(client):
    long = "x" * 900_000
    for path, body in (
        ("/v1/generations", {"prompt": "a dog", "model": long}),
        ("/v1/generations", {"prompt": "a dog", "scheduler": long}),
        ("/v1/generations", {"prompt": "a dog", **dict.fromkeys(map(str, range(10_000)), 1)}),
        ("/v1/interpolations", {"from": long, "to": "my-dog"}),
    ):
        response = client.post(path, json=body)
        assert response.status_code == 422
        assert len(response.content) < 10_000


@pytest.mark.parametrize("more_settings", [{"DTI_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}])
def test_a_database_that_is_down_is_a_503_with_retry_after(client):
    for response in (client.get("/v1/jobs"), client.post("/v1/generations", json={"prompt": "a dog"})):
        assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
        assert int(response.headers["Retry-After"]) > 0
    response = client.get("/health/ready")
    assert (response.status_code, response.json()["down"]) == (503, ["database"])
    assert client.get("/health/live").status_code == 200


# --- health and documents


def test_a_running_service_is_live_and_ready(client):
    assert client.get("/health/live").json() == {"status": "ok"}
    ready = client.get("/health/ready").json()
    assert {name: ready[name] for name in ("status", "database", "storage")} == {
        "status": "ok",
        "database": "up",
        "storage": "up",
    }


@pytest.mark.parametrize("more_settings", [{"DTI_BROKER_URL": "redis://127.0.0.1:1/0"}])
def test_a_broker_that_is_down_is_no_error(client):
    response = client.post("/v1/generations", json={"prompt": "a dog"})
    assert response.status_code == 202
    assert response.elapsed.total_seconds() < 5
    assert client.get(f"/v1/jobs/{response.json()['id']}").json()["status"] == "queued"
    assert client.get("/health/ready").status_code == 200


def test_metrics_have_the_number_of_jobs(client):
    client.post("/v1/generations", json={"prompt": "a dog"})
    response = client.get("/metrics/service")
    assert response.headers["Content-Type"].startswith("text/plain")
    assert 'dti_jobs_queued{kind="generate",model="tiny"} 1.0' in response.text


def test_the_catalogue_lists_the_options_of_a_model(client):
    (tiny,) = client.get("/v1/models").json()["items"]
    assert (tiny["name"], tiny["default"], tiny["loaded"]) == ("tiny", True, False)
    assert tiny["defaults"]["scheduler"] in tiny["schedulers"]
    assert (tiny["encoders"], tiny["token_limit"]) == (None, None)


def test_the_catalogue_lists_the_default_settings_of_every_method(client):
    (tiny,) = client.get("/v1/models").json()["items"]
    assert tiny["methods"] == list(METHODS) == list(tiny["defaults"]["training"])
    for method, listing in METHODS.items():
        assert tiny["defaults"]["training"][method] == {**asdict(listing.settings()), "resolution": 64}


def test_the_documentation_requests_no_foreign_host(client):
    page = client.get("/docs").text
    links = re.findall(r"(?:src|href)=\"([^\"]+)\"", page) + re.findall(r"url: '([^']+)'", page)
    assert {"/openapi.json", "/docs/assets/swagger-ui-bundle.js", "/docs/assets/swagger-ui.css"} <= set(links)
    assert '"validatorUrl": null' in page
    for link in links:
        assert link.startswith("/")
        assert client.get(link).status_code == 200


def test_the_documentation_page_runs_no_script_but_its_own(read_only_client):
    response = read_only_client.get("/docs")
    policy = response.headers["Content-Security-Policy"]
    script = re.search(r"<script>(.*?)</script>", response.text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    page = read_only_client.get("/").headers
    for name in ("Referrer-Policy", "X-Content-Type-Options", "Cache-Control"):
        assert response.headers[name] == page[name]


def test_a_request_through_a_proxy_is_refused_without_authentication(read_only_client):
    headers = ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Via", "X-Real-IP", "CF-Connecting-IP")
    for header in headers:
        response = read_only_client.get("/v1/models", headers={header: "10.0.0.1"})
        assert (response.status_code, response.json()["code"]) == (403, "forwarded"), header
        assert header.lower() in response.json()["detail"]


def test_the_document_describes_every_route_and_its_problems(client):
    document = client.get("/openapi.json").json()
    assert all(path.startswith(("/v1/", "/health/", "/metrics")) for path in document["paths"])
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert "application/problem+json" in operation["responses"]["4XX"]["content"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for name, schema in document["components"]["schemas"].items():
        if "Request" not in name and name not in {
            "NewConcept",
            "NewConceptImages",
            "NewImport",
            "TrainingSettings",
            "Problem",
        }:
            assert set(schema.get("properties", ())) == set(schema.get("required", ())), name


def test_every_route_has_a_test(client):
    here = Path(__file__).parent
    # Requests that need a worker are in the tests of the whole stack.
    files = [*here.glob("test_*.py"), *(here.parents[1] / "e2e").glob("test_*.py")]
    tests = "".join(path.read_text(encoding="utf-8") for path in files)
    for path in client.get("/openapi.json").json()["paths"]:
        pattern = re.sub(r"\\{\w+\\}", r"[^/\"?\\s]+", re.escape(path)) + r"[\"?]"
        assert re.search(pattern, tests), path


# --- signed addresses under the API's own origin


def test_a_signed_url_works_and_a_changed_or_unsigned_one_does_not(client, post_concept, settings):
    url = post_concept().json()["concept"]["images"][0]["url"]
    assert url.startswith(f"http://127.0.0.1:{settings.port}/{settings.s3_bucket}/{LOCAL_OWNER_ID}/")
    assert httpx.get(url).headers["X-Content-Type-Options"] == "nosniff"
    part = httpx.get(url, headers={"Range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, png()[:8])
    refused = {
        "changed": (url[:-1] + ("0" if url[-1] != "0" else "1"), 403),
        "another object": (url.replace(".png", ".jpg"), 403),
        "unsigned": (url.partition("?")[0], 404),
        "the bucket": (f"{client.base_url}/{settings.s3_bucket}/", 404),
    }
    for kind, (address, status) in refused.items():
        response = httpx.get(address)
        assert response.status_code == status, kind
        assert response.headers["Content-Type"] == "application/problem+json"
    for method in ("PUT", "DELETE", "POST"):
        assert httpx.request(method, url).status_code == 405
    head = httpx.head(url)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (
        200,
        b"",
        httpx.get(url).headers["Content-Length"],
    )
    assert httpx.get(url).status_code == 200


def test_an_unsatisfiable_range_is_refused_and_an_unknown_one_ignored(post_concept):
    url = post_concept().json()["concept"]["images"][0]["url"]
    whole = httpx.get(url).content
    beyond = httpx.get(url, headers={"Range": "bytes=999999-"})
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_satisfiable")
    for unknown in ("bytes=0-1,3-4", "bytes=abc", "lines=1-2", "bytes=0-" + "9" * 30, "bytes=-"):
        assert httpx.get(url, headers={"Range": unknown}).content == whole, unknown


@pytest.mark.parametrize("more_settings", [{"DTI_URL_EXPIRES_S": "3"}])
def test_a_signed_url_expires_and_every_response_has_a_new_one(client, post_concept):
    url = post_concept().json()["concept"]["images"][0]["url"]
    time.sleep(4.1)
    assert httpx.get(url).status_code == 403
    assert httpx.get(client.get("/v1/concepts/my-dog").json()["images"][0]["url"]).status_code == 200


# --- the process


REMEMBERS = """
import io
from pathlib import Path
from PIL import Image
from api.server import return_large_blocks
from service.uploads.files import Upload
from service.uploads.reading import read_pictures
from service.settings import Limits

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 1_000_000

return_large_blocks()
before = resident_mb()
for mode in ("RGBA", "LA"):
    file = io.BytesIO()
    Image.linear_gradient("L").resize((6000, 5000)).convert(mode).save(file, "PNG", compress_level=1)
    file.seek(0)
    read_pictures([Upload("a.png", file)], [], Limits())
print(resident_mb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's own figures, and concerns its C library")
def test_the_memory_of_decoded_pictures_is_released():
    done = subprocess.run([sys.executable, "-c", REMEMBERS], check=True, timeout=120, capture_output=True, text=True)
    assert int(done.stdout) < 60


def test_the_api_loads_no_torch():
    heavy = "{'torch', 'transformers', 'diffusers', 'safetensors', 'numpy'}"
    code = f"import sys, api.app, api.server; found = {heavy} & set(sys.modules); sys.exit(str(found) if found else 0)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


# --- misspelt names


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"promt": "a dog"}, "promt", "There is no such field. Did you mean `prompt`?"),
        ({"prompt": "a", "step": 9}, "step", "There is no such field. Did you mean `steps`?"),
        ({"prompt": "a", "webhook": {"ulr": "x"}}, "webhook.ulr", "There is no such field. Did you mean `url`?"),
        ({}, "prompt", "The field is missing. Send it."),
        ({"prompt": 7}, "prompt", "A text is needed."),
        ({"prompt": "a", "steps": 0}, "steps", "It is too small: at least 1."),
        ({"prompt": "a", "steps": 2.5}, "steps", "A whole number is needed."),
    ],
)
def test_a_validation_error_is_a_sentence_with_the_nearest_name(read_only_client, body, field, message):
    errors = read_only_client.post("/v1/generations", json=body).json()["errors"]
    assert {"field": field, "message": message} in errors


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "invalid_input"), (b"[]", "invalid_input"), (b"[" * 100_000, "malformed_body"), (b"\xe9", "malformed_body")],
)
def test_a_body_that_is_no_object_is_told_in_a_sentence(read_only_client, body, code):
    headers = {"Content-Type": "application/json"}
    told = read_only_client.post("/v1/generations", content=body, headers=headers).json()
    assert told["code"] == code
    assert told["detail"].startswith(("body: ", "The body is not JSON. "))
    assert "Content-Type" not in told["detail"]


@pytest.mark.parametrize("declared", [None, "application/x-www-form-urlencoded"])
def test_json_with_another_content_type_is_refused_with_the_header_to_send(read_only_client, declared):
    headers = {} if declared is None else {"Content-Type": declared}
    told = read_only_client.post("/v1/generations", content=b'{"prompt": "a dog"}', headers=headers).json()
    assert told["detail"].endswith(f" is {declared or 'missing'}: send application/json.")


def test_no_message_about_a_form_names_a_pattern_or_a_class_of_the_code(read_only_client):
    form = {"name": "My Dog", "class_word": "dog", "images": "text", "training": '{"magnitude": "large"}'}
    errors = read_only_client.post("/v1/concepts", data=form, files={"archive": ("", b"x")}).json()["errors"]
    told = {error["field"]: error["message"] for error in errors}
    assert "lowercase letters, digits and hyphens" in told["name"]
    assert told["images.0"] == "A file is needed, with a file name."
    assert "training.magnitude" in told
    assert not any(word in json.dumps(errors) for word in ("UploadFile", "<class", "literal", "constrained", "^"))


def test_a_misspelt_field_of_a_form_and_of_its_json_is_told(read_only_client):
    files = {"images": ("a.png", b"x")}
    form = {"name": "a", "class_word": "b", "metod": "dti", "training": '{"stepps": 3}'}
    errors = read_only_client.post("/v1/concepts", data=form, files=files).json()["errors"]
    told = {error["field"]: error["message"] for error in errors}
    assert "Did you mean `method`?" in told["metod"]
    assert "Did you mean `steps`?" in told["training.stepps"]


def test_a_misspelt_query_parameter_is_refused(read_only_client):
    response = read_only_client.get("/v1/images?favorite=true")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_input")
    assert response.json()["detail"] == "There is no query parameter 'favorite'. Did you mean `favourite`?"
    assert read_only_client.get("/v1/models?x=1").status_code == 422
