"""Safety policies over HTTP, with a fake worker that gives the checker's scores."""

import threading

import pytest

from service import jobs, rpc
from service.bucket import IDENTITY_KEY
from service.safety import SafetyVerdict
from tests.service.api.test_keys import ADMIN_KEY, KEYED, bearer
from tests.support.upload_samples import jpeg, png

LOOKING = {"DTI_SAFETY_CHECKER": "opennsfw"}


@pytest.fixture
def checker(service):
    """Runs RPCs as they come, and flags every second picture."""
    stopping = threading.Event()

    def work():
        while not stopping.wait(0.02):
            with service.database.writing() as session:
                claims = jobs.claim(
                    session,
                    worker_id="ada",
                    models=list(service.catalogue),
                    slots={"pictures": 0, "trainings": 0, "rpcs": 4},
                    lease_s=60,
                )
            for claim in claims:
                verdicts = [SafetyVerdict(checker="fake", score=n / 2, flagged=n == 1) for n in range(2)]
                with service.database.writing() as session:
                    rpc.finish_inspection(session, claim, verdicts)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stopping.set()
    thread.join()


def two_pictures():
    return [png(), jpeg()]


@pytest.mark.parametrize("more_settings", [LOOKING | {"DTI_SAFETY_POLICY": "tag"}])
def test_verdicts_on_uploads_are_in_the_response(client, post_concept, checker, service):
    response = post_concept(images=two_pictures())
    assert response.status_code == 202, response.text
    assessments = [image["safety"] for image in response.json()["concept"]["images"]]
    assert assessments == [
        {"checker": "fake", "score": 0.0, "flagged": False},
        {"checker": "fake", "score": 0.5, "flagged": True},
    ]
    assert not [
        stored_object.key for stored_object in service.storage.list_after("", 100) if "/rpc/" in stored_object.key
    ]


@pytest.mark.parametrize("more_settings", [LOOKING | {"DTI_SAFETY_POLICY": p} for p in ("blur", "refuse")])
def test_flagged_uploads_are_refused_and_named_and_nothing_is_stored(client, post_concept, checker, service):
    response = post_concept(images=two_pictures())
    assert (response.status_code, response.json()["code"]) == (422, "image_refused")
    assert response.json()["names"] == ["1.png"]
    assert client.get("/v1/concepts").json()["items"] == []
    assert [found.key for found in service.storage.list_after("", 100)] == [IDENTITY_KEY]


@pytest.mark.parametrize("more_settings", [LOOKING | {"DTI_SAFETY_POLICY": "refuse", "DTI_RPC_TIMEOUT_S": "0.3"}])
def test_uploads_are_refused_without_a_worker_that_checks(client, post_concept):
    response = post_concept(images=two_pictures())
    assert (response.status_code, response.json()["code"]) == (503, "worker_unavailable")


def test_by_default_uploads_are_not_checked(client, post_concept):
    assert [image["safety"] for image in post_concept(images=two_pictures()).json()["concept"]["images"]] == [None] * 2


def minted(client, **fields):
    body = {"owner": "ada", "name": "test", "scopes": ["read", "train", "generate"], **fields}
    return client.post("/v1/keys", json=body, headers=bearer(ADMIN_KEY))


@pytest.mark.parametrize("more_settings", [KEYED | LOOKING])
def test_a_key_can_have_its_own_policy(client, post_concept, checker):
    strict, lax = minted(client, safety="refuse"), minted(client)
    assert (strict.json()["key"]["safety"], lax.json()["key"]["safety"]) == ("refuse", None)
    sent = {"images": two_pictures()}
    assert post_concept(**sent, headers=bearer(strict.json()["secret"])).json()["code"] == "image_refused"
    assert post_concept(**sent, headers=bearer(lax.json()["secret"])).status_code == 202


@pytest.mark.parametrize("more_settings", [KEYED])
def test_a_policy_without_a_checker_is_refused_for_a_key(client):
    response = minted(client, safety="refuse")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "safety")
    assert minted(client, safety="allow").status_code == 201
