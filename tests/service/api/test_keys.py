"""Keys over HTTP: authentication, scopes, expiry, quotas, CORS."""

import socket
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import select

from service.accounts import usage
from service.database.tables import Owner
from tests.support.upload_samples import png

ADMIN_KEY = "an-admin-key-for-tests-0123456789abcdef"
KEYED = {"DTI_AUTH": "on", "DTI_ADMIN_KEY": ADMIN_KEY}


@pytest.fixture
def more_settings():
    return KEYED


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def admin(client):
    client.headers.update(bearer(ADMIN_KEY))
    return client


@pytest.fixture
def mint(client):
    def minted(*scopes, owner="ada", **more):
        fields = {"owner": owner, "name": "laptop", "scopes": list(scopes), **more}
        response = client.post("/v1/keys", json=fields, headers=bearer(ADMIN_KEY))
        assert response.status_code == 201, response.text
        assert response.headers["Cache-Control"] == "no-store"
        return response.json()

    return minted


def test_without_a_key_only_health_and_documents_are_served(client):
    for path in ("/health/live", "/health/ready", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200, path
    for path in ("/v1/jobs", "/v1/nowhere", "/metrics"):
        response = client.get(path)
        assert (response.status_code, response.json()["code"]) == (401, "key_missing")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="dti"'
        assert response.headers["Content-Type"] == "application/problem+json"


def test_a_key_is_valid_until_it_is_revoked_and_names_its_owner(client, mint):
    minted = mint("read")
    key, headers = minted["key"], bearer(minted["secret"])
    assert client.get("/v1/jobs", headers=headers).status_code == 200
    assert client.get("/metrics", headers=headers).status_code == 403
    assert minted["secret"].startswith(key["prefix"])
    (listed, *_) = client.get("/v1/keys", params={"owner": "ada"}, headers=bearer(ADMIN_KEY)).json()["items"]
    assert listed["last_used_at"] is not None
    assert listed == key | {"last_used_at": listed["last_used_at"]}
    for _ in range(2):
        assert client.delete(f"/v1/keys/{key['id']}", headers=bearer(ADMIN_KEY)).status_code == 204
    response = client.get("/v1/jobs", headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "key_revoked")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_metrics_are_read_with_a_scope_of_their_own(client, mint):
    headers = bearer(mint("metrics")["secret"])
    for path in ("/metrics", "/metrics/service"):
        assert client.get(path, headers=headers).status_code == 200
        assert client.get(path, headers=bearer(mint("read", "train", "generate")["secret"])).status_code == 403
    assert client.get("/v1/jobs", headers=headers).status_code == 403


def test_a_malformed_key_is_distinguished_from_an_unknown_one(client, mint):
    secret = mint("read")["secret"]
    for wrong, code in (
        (secret[:-1], "key_malformed"),
        (secret.replace(secret[9], "0" if secret[9] != "0" else "1", 1), "key_malformed"),
        ("dti_" + "0" * 49, "key_malformed"),
        (ADMIN_KEY[:-1], "key_malformed"),
        ("dti_0000000000000000000000000000000000000000000" + "2Hh3XF", "key_malformed"),
    ):
        response = client.get("/v1/jobs", headers=bearer(wrong))
        assert (response.status_code, response.json()["code"]) == (401, code), wrong
    assert client.get("/v1/jobs", headers={"Authorization": f"Basic {secret}"}).json()["code"] == "key_missing"


def test_a_missing_scope_is_named(client, mint):
    response = client.post("/v1/generations", json={"prompt": "a dog"}, headers=bearer(mint("read")["secret"]))
    assert (response.status_code, response.json()["code"]) == (403, "scope_missing")
    assert response.json()["scopes"] == ["generate"]
    assert 'scope="generate"' in response.headers["WWW-Authenticate"]


def test_a_key_expires(client, mint):
    soon = datetime.now(UTC) + timedelta(seconds=1)
    headers = bearer(mint("read", expires_at=soon.isoformat())["secret"])
    while datetime.now(UTC) < soon:
        assert client.get("/v1/jobs", headers=headers).status_code in {200, 401}
    assert client.get("/v1/jobs", headers=headers).json()["code"] == "key_expired"


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("scopes", {"scopes": []}),
        ("scopes.0", {"scopes": ["everything"]}),
        ("owner", {"owner": " "}),
        ("name", {"name": "a\nb"}),
        ("expires_at", {"expires_at": "2020-01-01T00:00:00Z"}),
        ("expires_at", {"expires_at": "2030-01-01T00:00:00"}),
        ("quotas.stored_bytes", {"quotas": {"stored_bytes": -1}}),
        ("quotas.pictures", {"quotas": {"pictures": 1}}),
    ],
)
def test_an_invalid_key_is_refused_with_its_field(admin, field, fields):
    response = admin.post("/v1/keys", json={"owner": "ada", "name": "laptop", "scopes": ["read"], **fields})
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["field"] == field


def test_keys_are_listed_in_pages_newest_first(admin, mint):
    minted = [mint("read", owner=owner)["key"]["id"] for owner in ("ada", "bob", "ada")]
    first = admin.get("/v1/keys", params={"limit": 2}).json()
    rest = admin.get("/v1/keys", params={"cursor": first["next"]}).json()
    assert [key["id"] for key in first["items"] + rest["items"]] == minted[::-1]
    assert [key["id"] for key in admin.get("/v1/keys?owner=ada").json()["items"]] == [minted[2], minted[0]]
    assert admin.get("/v1/keys?owner=nobody").json()["items"] == []


@pytest.mark.parametrize("more_settings", [KEYED | {"DTI_CORS_ORIGINS": "https://app.example"}])
def test_only_allowed_origins_may_call_with_a_key(client, mint):
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    preflight = client.options("/v1/generations", headers={"Origin": "https://app.example", **asks})
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()
    foreign = client.options("/v1/generations", headers={"Origin": "https://evil.example", **asks})
    assert (foreign.status_code, "Access-Control-Allow-Origin" in foreign.headers) == (400, False)
    headers = bearer(mint("read")["secret"])
    response = client.get("/v1/jobs", headers=headers | {"Origin": "https://app.example"})
    assert "RateLimit" in response.headers["Access-Control-Expose-Headers"]
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"


# --- quotas


def test_every_response_has_the_rate_limit_headers(client, mint):
    headers = bearer(mint("read", quotas={"requests_per_minute": 3})["secret"])
    for left in (2, 1, 0):
        response = client.get("/v1/jobs" if left else "/v1/jobs/job_nobodys", headers=headers)
        assert response.headers["RateLimit-Policy"] == '"requests";q=3;w=60'
        assert response.headers["RateLimit"].startswith(f'"requests";r={left};t=')
    refused = client.get("/v1/jobs", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"] == f'"requests";r=0;t={refused.headers["Retry-After"]}'


def test_limits_of_a_key_apply_to_its_submissions(client, mint, service):
    def submit(**quotas):
        headers = bearer(mint("generate", "read", quotas=quotas)["secret"])
        return client.post("/v1/generations", json={"prompt": "a dog"}, headers=headers)

    assert submit(unfinished_jobs=1, device_s_per_day=5).status_code == 202
    refused = submit(unfinished_jobs=1)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_jobs")
    assert refused.headers.get_list("RateLimit-Policy", split_commas=True)[0] == '"unfinished-jobs";q=1'
    with service.database.writing() as session:
        owner = session.scalars(select(Owner.id).where(Owner.name == "ada")).one()
        usage.add_device_s(session, {owner: 7.0})
    refused = submit(device_s_per_day=5)
    assert (refused.status_code, refused.json()["code"]) == (429, "device_quota_exceeded")
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    assert submit(device_s_per_day=0).status_code == 202


def test_a_request_beyond_the_storage_quota_is_refused_and_nothing_is_stored(client, mint):
    headers = bearer(mint("train", "read", quotas={"stored_bytes": 10})["secret"])
    files, form = [("images", ("a.png", png()))], {"name": "my-dog", "class_word": "dog"}
    refused = client.post("/v1/concepts", data=form, files=files, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "storage_quota_exceeded")
    assert client.get("/v1/usage", headers=headers).json()["stored_bytes"] == 0


def test_usage_is_visible_to_its_owner_and_to_admins(client, mint):
    headers = bearer(mint("read", "generate", quotas={"stored_bytes": 10, "unfinished_jobs": 0})["secret"])
    client.post("/v1/generations", json={"prompt": "a dog"}, headers=headers)
    own = client.get("/v1/usage", headers=headers).json()
    assert (own["owner"], own["jobs"], own["unfinished_jobs"], own["device_s"]) == ("ada", 1, 1, 0.0)
    assert own["limits"] == {
        "requests_per_minute": 1200,
        "unfinished_jobs": None,
        "device_s_per_day": None,
        "stored_bytes": 10,
    }
    assert client.get("/v1/usage?owner=ada", headers=headers).status_code == 403
    as_admin = client.get("/v1/usage?owner=ada", headers=bearer(ADMIN_KEY)).json()
    assert {**as_admin, "limits": None} == {**own, "limits": None}
    assert client.get("/v1/usage?owner=nobody", headers=bearer(ADMIN_KEY)).status_code == 404


def test_a_signed_url_is_valid_whatever_host_a_proxy_names(admin, settings):
    files = {"images": ("a.png", png())}
    response = admin.post("/v1/concepts", data={"name": "my-dog", "class_word": "dog"}, files=files)
    address = httpx.URL(response.json()["concept"]["images"][0]["url"])
    with socket.create_connection((settings.host, settings.port), timeout=10) as connection:
        connection.sendall(b"GET " + address.raw_path + b" HTTP/1.0\r\nHost: behind-a-proxy\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
