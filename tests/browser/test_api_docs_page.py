"""'Try it out' of the API's documentation page: every POST is accepted as the page fills it in."""

import os

import pytest
from playwright.sync_api import expect

from tests.support.stack import drawings

FAST = {"steps": 2, "batch_size": 1}
ONLY_WITH_KEYS = {"create_key"}
"""Without authentication there are no keys to mint."""


@pytest.fixture(scope="module")
def resources(stack):
    """What stands in the paths: a value for each parameter, by operation where it matters."""
    client = stack.client
    for name in ("my-dog", "my-cat"):
        client.succeeded(client.train(name, drawings("navy"), **FAST))
    webhook = client.post("/v1/webhooks", json={"url": "https://hooks.example.com/all"}).json()["webhook"]["id"]
    delivery = client.post(f"/v1/webhooks/{webhook}/test").json()["id"]
    return {
        "reference": "my-dog",
        "job_id": client.generate("a photo of <my-dog>", num_images=16, steps=150)["id"],
        "webhook_id": webhook,
        "delivery_id": delivery,
    }


@pytest.fixture
def files(pictures, stack, tmp_path):
    embedding = tmp_path / "embedding.safetensors"
    embedding.write_bytes(stack.client.get("/v1/concepts/my-dog/embedding").content)
    return {"images": pictures[0], "file": os.fspath(embedding)}


def test_every_post_is_accepted_as_the_page_fills_it_in(visit, stack, resources, files):
    posts = [
        (path, operation["operationId"], operation["tags"][0])
        for path, by_method in stack.client.get("/openapi.json").json()["paths"].items()
        for method, operation in by_method.items()
        if method == "post"
    ]
    page = visit(stack)
    page.goto(f"{stack.url}/docs")
    refused = {}
    for _, operation, tag in posts:
        status = tried(page, f"#operations-{tag}-{operation}", resources, files)
        if not status.startswith("2"):
            refused[operation] = status
    assert refused == {}
    assert len(posts) > 10


def tried(page, selector, resources, files):
    """The status of an operation's answer."""
    block = page.locator(selector)
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    for row in block.locator("tr[data-param-in=path]").all():
        row.locator("input").fill(resources[row.get_attribute("data-param-name")])
    for chooser in block.locator("input[type=file]").all():
        name = chooser.locator("xpath=ancestor::tr[1]").get_attribute("data-property-name") or "images"
        if name in files:
            chooser.set_input_files(files[name])
    block.get_by_role("button", name="Execute").click()
    status = block.locator(".live-responses-table .response-col_status").last
    expect(status).not_to_be_empty()
    answer = status.inner_text().split()[0]
    if not answer.startswith("2"):
        answer += " " + block.locator(".live-responses-table .highlight-code").first.inner_text()[:600]
    block.locator(".opblock-summary-control").click()
    return answer
