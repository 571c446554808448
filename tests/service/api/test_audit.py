"""The audit log: keys, webhooks, deletions and retention, each with its caller, in the transaction of its act."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from service import audit
from service.database.tables import AuditEntry
from service.settings import Retention
from tests.service.api.test_keys import ADMIN_KEY, KEYED, bearer
from worker.maintenance import Maintenance

HOOK = "https://hooks.example.com/secret-path"


@pytest.fixture
def more_settings():
    return KEYED


@pytest.fixture
def admin(client):
    client.headers.update(bearer(ADMIN_KEY))
    return client


@pytest.fixture
def ada(admin):
    fields = {"owner": "ada", "name": "laptop", "scopes": ["read", "train", "generate"]}
    return admin.post("/v1/keys", json=fields).json()


def entries(admin, **query):
    response = admin.get("/v1/audit", params=query)
    assert response.status_code == 200, response.text
    return response.json()["items"]


def test_a_key_is_recorded_when_it_is_minted_and_once_when_it_is_revoked(admin, ada):
    key = ada["key"]
    for _ in range(2):
        admin.delete(f"/v1/keys/{key['id']}", headers={"X-Request-ID": "revocation-7"})
    revoked, minted = entries(admin)
    assert (revoked["action"], minted["action"]) == ("key.revoked", "key.minted")
    assert revoked["request_id"] == "revocation-7"
    for entry in (revoked, minted):
        assert entry["subject"] == key["id"]
        assert entry["details"] == {"owner": "ada", "name": "laptop", "scopes": ["read", "train", "generate"]}
        assert (entry["owner"], entry["key"]) == ("local", None)
    assert ada["secret"] not in admin.get("/v1/audit").text


def test_deletions_are_recorded_with_the_key_of_their_caller(admin, ada, create_trained, worker):
    admin.headers.update(bearer(ada["secret"]))
    concept_id = create_trained()
    picture = admin.get(f"/v1/concepts/{concept_id}").json()["images"][0]["id"]
    job = admin.post("/v1/generations", json={"prompt": "a <my-dog>", "num_images": 2}).json()["id"]
    worker.work()
    image = admin.get("/v1/images", params={"job": job}).json()["items"][0]["id"]
    paths = [f"images/{image}", f"jobs/{job}", f"concepts/my-dog/images/{picture}", "concepts/my-dog"]
    for path in paths:
        assert admin.delete(f"/v1/{path}").status_code == 204, path
        assert admin.delete(f"/v1/{path}").status_code == 404, path
    admin.headers.update(bearer(ADMIN_KEY))
    found = entries(admin, owner="ada")
    assert [(entry["action"], entry["subject"], entry["details"]) for entry in found] == [
        ("concept.deleted", concept_id, {"name": "my-dog"}),
        ("concept.picture_removed", picture, {"concept": concept_id}),
        ("job.deleted", job, {}),
        ("image.deleted", image, {}),
    ]
    assert {entry["key"] for entry in found} == {ada["key"]["id"]}


def test_webhooks_are_recorded_without_their_secrets(admin):
    created = admin.post("/v1/webhooks", json={"url": HOOK}).json()
    path = f"/v1/webhooks/{created['webhook']['id']}"
    admin.patch(path, json={"enabled": False})
    rotated = admin.post(f"{path}/rotate").json()
    admin.delete(path)
    found = entries(admin)
    assert [entry["action"] for entry in found] == [
        f"webhook.{act}" for act in ("deleted", "secret_rotated", "changed", "created")
    ]
    assert [entry["details"]["enabled"] for entry in found] == [False, False, False, True]
    assert {entry["details"]["host"] for entry in found} == {"hooks.example.com"}
    text = admin.get("/v1/audit").text
    assert not any(secret in text for secret in ("secret-path", created["secret"], rotated["secret"]))


def test_a_refused_act_leaves_no_entry(admin):
    assert admin.delete("/v1/concepts/nothing").status_code == 404
    assert admin.delete(f"/v1/keys/key_{'0' * 26}").status_code == 404
    assert admin.post("/v1/webhooks", json={"url": "ftp://example.com"}).status_code == 422
    assert entries(admin) == []


def test_the_list_has_pages_and_filters_and_needs_the_scope_admin(admin, ada):
    secret = ada["secret"]
    for owner in ("bob", "carol"):
        admin.post("/v1/keys", json={"owner": owner, "name": "phone", "scopes": ["read"]})
    first = admin.get("/v1/audit", params={"limit": 2}).json()
    second = admin.get("/v1/audit", params={"limit": 2, "cursor": first["next"]}).json()
    owners = [entry["details"]["owner"] for entry in first["items"] + second["items"]]
    assert (owners, second["next"]) == (["carol", "bob", "ada"], None)
    assert len(entries(admin, action="key.minted", owner="local")) == 3
    assert entries(admin, action="key.revoked") == entries(admin, owner="ada") == []
    assert admin.get("/v1/audit", params={"action": "key.stolen"}).status_code == 422
    refused = admin.get("/v1/audit", headers=bearer(secret))
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


def test_changed_retention_is_recorded_when_maintenance_starts_to_follow_it(service):
    def start(**days):
        settings = replace(service.settings, retention=Retention(**days))
        Maintenance(replace(service, settings=settings)).delete_expired()
        with service.database.reading() as session:
            return [row.details for row in session.scalars(select(AuditEntry).order_by(AuditEntry.id))]

    kept = {"uploads_days": 0.0, "images_days": 0.0, "previews_days": 0.0, "jobs_days": 0.0}
    assert start() == start() == [kept]
    assert start(images_days=7.0) == [kept, kept | {"images_days": 7.0}]


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_an_act_whose_entry_cannot_be_written_is_not_done(admin, ada, monkeypatch):
    monkeypatch.setattr(audit, "now", lambda _: None)
    path = f"/v1/keys/{ada['key']['id']}"
    # The server drops the connection of a request that failed.
    assert admin.delete(path, headers={"Connection": "close"}).status_code == 500
    assert admin.get("/v1/keys").json()["items"][0]["revoked_at"] is None
    monkeypatch.undo()
    assert admin.delete(path).status_code == 204
    assert admin.get("/v1/keys").json()["items"][0]["revoked_at"] is not None
