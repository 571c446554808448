"""Every route refuses a missing key and a missing scope, and shows nothing of other owners.

The routes are those of the server's own document, so that a new one is tested by being there. A route with a parameter
that `things_of` cannot make fails here.
"""

import json
import re
from itertools import product

import httpx
import pytest

from tests.service.api.test_keys import ADMIN_KEY, KEYED, bearer
from tests.support.upload_samples import png

SCOPES = {"read", "train", "generate", "metrics", "admin"}
REFERENCE = "A concept's id or name."
"""The description of fields and parameters that name a concept."""

THING = "THING"
"""Where a request about a thing has its name."""

OPEN = ("/health/", "/docs", "/openapi.json")


@pytest.fixture
def more_settings():
    return KEYED


@pytest.fixture
def key_for(client):
    def minted(owner, *scopes):
        key = {"owner": owner, "name": "test", "scopes": sorted(scopes)}
        return client.post("/v1/keys", json=key, headers=bearer(ADMIN_KEY)).json()["secret"]

    return minted


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json()


def operations(document):
    """Path, method and description of every operation."""
    found = [
        (path, method, operation)
        for path, by_method in document["paths"].items()
        for method, operation in by_method.items()
    ]
    assert len(found) > 15
    return found


def keyed(document):
    return [found for found in operations(document) if not found[0].startswith(OPEN)]


# --- closed


def test_every_route_but_health_names_its_scopes(document):
    for path, method, operation in keyed(document):
        named = [scope for needed in operation.get("security", []) for scope in needed["key"]]
        assert named, f"{method} {path} names no scope: ask for ReadAccess, TrainAccess, … of api/deps.py"
        assert set(named) <= SCOPES
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_no_route_answers_without_a_key(client, document):
    for path, method, _ in keyed(document):
        response = client.request(method, path)
        assert (response.status_code, response.json()["code"]) == (401, "key_missing"), f"{method} {path}"


def test_no_route_answers_a_key_without_its_scope(client, document, key_for):
    keys = {scope: key_for("ada", *(SCOPES - {scope, "admin"})) for scope in SCOPES}
    keys["either"] = key_for("ada", "read")
    for path, method, operation in keyed(document):
        named = [scope for needed in operation["security"] for scope in needed["key"]]
        secret = keys[named[0] if len(named) == 1 else "either"]
        response = client.request(method, path, headers=bearer(secret))
        assert (response.status_code, response.json()["code"]) == (403, "scope_missing"), f"{method} {path}"
        assert response.json()["scopes"] == named


# --- blind


@pytest.fixture
def ada(client, key_for):
    """An owner with every scope but access to other owners' resources."""
    return bearer(key_for("ada", "read", "train", "generate"))


@pytest.fixture
def other_client(client, key_for):
    """Another owner's client."""
    headers = bearer(key_for("bob", "read", "train", "generate"))
    with httpx.Client(base_url=client.base_url, headers=headers, timeout=20) as other_client:
        yield other_client


@pytest.fixture
def resources(other_client, worker):
    """Everything that they have."""
    return things_of(other_client, worker)


def things_of(client, worker):
    """New resources of an owner: per path parameter all its possible values."""
    form = {"name": "heirloom", "class_word": "heirloomword"}
    created = client.post("/v1/concepts", data=form, files=[("images", ("heirloomfile.png", png()))]).json()
    worker.work()
    generated = client.post("/v1/generations", json={"prompt": "a <heirloom> heirloomprompt"}).json()
    worker.work()
    image = client.get("/v1/images", params={"job": generated["id"]}).json()["items"][0]
    waiting = client.post("/v1/generations", json={"prompt": "a <heirloom> heirloomprompt"}).json()
    webhook = client.post("/v1/webhooks", json={"url": "https://heirloom.example/hook"}).json()["webhook"]
    message = client.post(f"/v1/webhooks/{webhook['id']}/test").json()
    return {
        "reference": [created["concept"]["id"], "heirloom"],
        "job_id": [created["job"]["id"], waiting["id"]],
        "image_id": [image["id"], created["concept"]["images"][0]["id"]],
        "webhook_id": [webhook["id"]],
        "delivery_id": [message["id"]],
    }


COMMON_TO_ALL = "/v1/models/{model_name}"


def nonexistent(resource):
    """A reference of the same form to nothing."""
    return f"{resource.partition('_')[0]}_{'0' * 26}" if "_" in resource else "inexistent"


def test_resources_of_another_owner_are_answered_like_missing_ones(client, document, ada, other_client, resources):
    before = everything(other_client)
    requests = 0
    for path, method, operation in keyed(document):
        parameters = re.findall(r"{\w+}", path)
        if not parameters or operation["security"] == [{"key": ["admin"]}] or path == COMMON_TO_ALL:
            continue
        for parameter in parameters:
            assert parameter[1:-1] in resources, f"say in things_of what stands for {parameter} of {method} {path}"
        request = {"url": path, "headers": ada, **body(document, operation, "heirloom")}
        for values in product(*(resources[parameter[1:-1]] for parameter in parameters)):
            assert_blind(client, method, request, dict(zip(parameters, values, strict=True)), statuses={404})
            requests += 1
    assert requests >= 16
    assert everything(other_client) == before


def test_fields_and_queries_that_name_resources_of_another_owner_reveal_nothing(
    client, document, ada, other_client, resources
):
    before = everything(other_client)
    requests = 0
    for path, method, operation in keyed(document):
        if "{" in path:
            continue
        for resource in resources["reference"]:
            if resource in named_in(document, operation, resources["reference"]):
                smallest_body = body(document, operation, THING)
                assert_blind(
                    client, method, {"url": path, "headers": ada, **smallest_body}, {THING: resource}, statuses={422}
                )
                requests += 1
            for question in operation.get("parameters", []):
                if question.get("description") == REFERENCE:
                    request = {"url": f"{path}?{question['name']}={THING}", "headers": ada}
                    assert_blind(client, method, request, {THING: resource}, statuses={200})
                    requests += 1
    assert requests >= 5
    assert everything(other_client) == before


def test_lists_contain_nothing_of_other_owners(client, document, ada, other_client, resources):
    for path, method, operation in keyed(document):
        if method == "get" and "{" not in path and path not in {"/metrics", "/metrics/service", "/v1/models"}:
            response = client.get(path, headers=ada)
            if operation["security"] == [{"key": ["admin"]}]:
                assert response.status_code == 403
            else:
                assert response.status_code == 200, path
                assert "heirloom" not in response.text, path


def assert_blind(client, method, request, resources, statuses):
    """The answer about another's things is, but for their names, the answer about nothing.

    Args:
        client: who asks.
        method: how.
        request: its keywords, with places for the things.
        things: per place what belongs to another.
        statuses: what may be answered.
    """
    nothing = {placeholder: nonexistent(resource) for placeholder, resource in resources.items()}
    about_theirs = client.request(method, **filled(request, resources))
    about_nothing = client.request(method, **filled(request, nothing))
    shown = f"{method} {request['url']}: {about_theirs.text}"
    assert about_theirs.status_code in statuses, shown
    assert about_theirs.status_code == about_nothing.status_code, shown
    assert unnamed(about_theirs.text, resources) == unnamed(about_nothing.text, nothing), shown
    assert "heirloom" not in unnamed(about_theirs.text, resources), shown


def filled(request, resources):
    text = json.dumps(request)
    for placeholder, resource in resources.items():
        text = text.replace(placeholder, resource)
    return json.loads(text)


def unnamed(text, resources):
    for resource in resources.values():
        text = text.replace(resource, "…")
    return text


def everything(client):
    """An owner's view of a resource, without the URLs of pictures, which differ from reading to reading."""
    return [
        re.sub(r'"url":"[^"]*"', "", client.get(path).text)
        for path in ("/v1/concepts", "/v1/concepts/heirloom", "/v1/jobs", "/v1/images")
    ]


# --- bodies that the document allows


def body(document, operation, concept):
    """The keywords of a request with the smallest body that the document allows."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return {}
    ((kind, described),) = content.items()
    smallest_body = smallest(document, described["schema"], concept)
    if kind == "application/json":
        return {"json": smallest_body}
    if kind == "multipart/form-data":
        return {"files": {"images": "no picture, but nothing is read before the concept is found"}}
    raise AssertionError(f"{operation['operationId']} takes {kind}: say here how such a body is made")


def named_in(document, operation, references):
    """Those of a concept's id and name by which a body can mean it; in prompts it is its name alone."""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return []
    smallest_body = json.dumps(smallest(document, content["application/json"]["schema"], THING))
    return [
        resource
        for resource in references
        if f'"{THING}"' in smallest_body or (f"<{THING}>" in smallest_body and "_" not in resource)
    ]


def smallest(document, schema, concept):
    if "$ref" in schema:
        return smallest(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], concept)
    if "anyOf" in schema:
        return smallest(document, schema["anyOf"][0], concept)
    if schema["type"] == "object":
        fields = schema.get("properties", {})
        return {name: smallest(document, fields[name], concept) for name in schema.get("required", ())}
    if schema["type"] == "array":
        return [smallest(document, schema["items"], concept)] * schema.get("minItems", 1)
    return plain(schema, concept)


def plain(schema, concept):
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "string":
        in_prompt = f"a <{concept}>" if "<name>" in schema.get("description", "") else "x"
        return concept if schema.get("description") == REFERENCE else in_prompt
    by_type = {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1), "boolean": False}
    assert schema["type"] in by_type, f"say here how a body holds {schema}"
    return by_type[schema["type"]]
