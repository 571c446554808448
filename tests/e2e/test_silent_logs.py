"""The logs of a service with keys contain no key, no secret, no signed URL."""

import json
import re

import httpx
import pytest

from stack.home import Home
from tests.support.stack import ApiClient, Stack, drawings

ADMIN_KEY = "an-admin-key-for-tests-0123456789abcdef"
BRIEF = {"steps": 20, "batch_size": 2, "seed": 11, "preview_prompt": "a photo of {}", "preview_every": 10}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    running = Stack(tmp_path_factory.mktemp("keyed") / "home", DTI_AUTH="on", DTI_ADMIN_KEY=ADMIN_KEY)
    running.start()
    yield running
    running.stop()


def signatures(response):
    """The signatures of the URLs in a response."""
    return re.findall(r"X-Amz-Signature=(\w+)", json.dumps(response))


def test_no_log_line_holds_a_key_a_secret_or_a_signed_address(keyed):
    secrets_sent = {ADMIN_KEY}
    with ApiClient(keyed.url, ADMIN_KEY) as admin:
        key = {"owner": "ada", "name": "laptop", "scopes": ["read", "train", "generate"]}
        minted = admin.post("/v1/keys", json=key).raise_for_status().json()
        hook = admin.post("/v1/webhooks", json={"url": "https://dti.example/hook?token=hush"}).raise_for_status().json()
    secrets_sent |= {minted["secret"], hook["secret"], "token=hush"}
    with ApiClient(keyed.url, minted["secret"]) as client:
        client.succeeded(client.train("ball", drawings("crimson", count=2), **BRIEF))
        client.succeeded(client.train("cube", drawings("navy", count=2), **BRIEF))
        interpolation = client.succeeded(client.interpolate("ball", "cube", frames=2, steps=2, animation="gif"))
        followed = client.get(f"/v1/jobs/{interpolation['id']}/events").text
        concept = client.get("/v1/concepts/ball").json()
        secrets_sent |= {*signatures(interpolation), *signatures(concept), *signatures(followed)}
        assert client.fetch(interpolation["output"]["animation"])
        for image in (*interpolation["output"]["images"], *concept["images"]):
            client.fetch(image)
            assert httpx.get(image["url"].replace(".png", ".jpg"), trust_env=False).status_code == 403
        client.delete("/v1/concepts/cube").raise_for_status()
        client.get("/v1/concepts", params={"api_key": minted["secret"]})
        assert client.post("/v1/generations", json={"prompt": "a <nobody>"}).status_code == 422
        assert client.post("/v1/generations", content=b"{", headers={"Content-Type": "application/json"}).is_error
        assert client.get("/v1/jobs", headers={"Authorization": f"Bearer {minted['secret']}x"}).status_code == 401
    stores = Home(keyed.home).config()
    secrets_sent |= {stores.s3_secret_key, f"{stores.s3_access_key},"}
    keyed.stop()
    logs = {path.name: path.read_text(errors="replace") for path in (keyed.home / "logs").iterdir()}
    assert {"api.log", "worker.log", "maintenance.log", "s3.log", "valkey.log"} <= logs.keys()
    assert "dti keys mint" in logs["serve.log"]
    assert len(secrets_sent) > 8
    secrets = {*secrets_sent, minted["secret"][12:-6], "X-Amz-Signature", "Bearer "}
    assert [(name, secret) for name, text in logs.items() for secret in secrets if secret in text] == []
