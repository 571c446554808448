"""Safety policies over HTTP, with a fake worker that gives the checker's scores."""

import threading

import pytest

from service import jobs, rpc
from tests.service.api.test_keys import ADMIN_KEY, KEYED, bearer
from tests.support.upload_samples import jpeg, png

LOOKING = {"DTI_SAFETY_CHECKER": "opennsfw"}


@pytest.fixture
def judge(service):
    """Does RPCs as they come, and flags every second picture."""
    stopping = threading.Event()

    def work():
        while not stopping.wait(0.02):
            with service.database.writing() as session:
                claims = jobs.claim(
                    session,
                    worker_id="ada",
                    models=list(service.catalogue),
                    picture_slots=0,
                    training_slots=0,
                    rpc_slots=4,
                    lease_s=60,
                )
            for claim in claims:
                said = [{"checker": "fake", "score": n / 2, "flagged": n == 1} for n in range(2)]
                with service.database.writing() as session:
                    rpc.finish_inspection(session, claim, said)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stopping.set()
    thread.join()


def two_pictures():
    return [png(), jpeg()]


@pytest.mark.parametrize("more_settings", [LOOKING | {"DTI_SAFETY_POLICY": "tag"}])
def test_what_is_thought_of_uploads_is_told_with_them(client, post_concept, judge, service):
    answer = post_concept(images=two_pictures())
    assert answer.status_code == 202, answer.text
    told = [image["safety"] for image in answer.json()["concept"]["images"]]
    assert told == [
        {"checker": "fake", "score": 0.0, "flagged": False},
        {"checker": "fake", "score": 0.5, "flagged": True},
    ]
    assert not [one.key for one in service.storage.listed("", 100) if "/rpc/" in one.key]


@pytest.mark.parametrize("more_settings", [LOOKING | {"DTI_SAFETY_POLICY": p} for p in ("blur", "refuse")])
def test_flagged_uploads_are_refused_by_name_and_nothing_is_kept(client, post_concept, judge, service):
    answer = post_concept(images=two_pictures())
    assert (answer.status_code, answer.json()["code"]) == (422, "image_refused")
    assert answer.json()["names"] == ["1.png"]
    assert client.get("/v1/concepts").json()["items"] == []
    assert service.storage.listed("", 100) == []


@pytest.mark.parametrize("more_settings", [LOOKING | {"DTI_SAFETY_POLICY": "refuse", "DTI_RPC_TIMEOUT_S": "0.3"}])
def test_without_a_worker_that_looks_nothing_is_taken(client, post_concept):
    answer = post_concept(images=two_pictures())
    assert (answer.status_code, answer.json()["code"]) == (503, "worker_unavailable")


def test_by_default_nobody_looks(client, post_concept):
    assert [image["safety"] for image in post_concept(images=two_pictures()).json()["concept"]["images"]] == [None] * 2


def minted(client, **said):
    body = {"owner": "ada", "name": "test", "scopes": ["read", "train", "generate"], **said}
    return client.post("/v1/keys", json=body, headers=bearer(ADMIN_KEY))


@pytest.mark.parametrize("more_settings", [KEYED | LOOKING])
def test_a_key_may_have_a_policy_of_its_own(client, post_concept, judge):
    strict, lax = minted(client, safety="refuse"), minted(client)
    assert (strict.json()["key"]["safety"], lax.json()["key"]["safety"]) == ("refuse", None)
    sent = {"images": two_pictures()}
    assert post_concept(**sent, headers=bearer(strict.json()["secret"])).json()["code"] == "image_refused"
    assert post_concept(**sent, headers=bearer(lax.json()["secret"])).status_code == 202


@pytest.mark.parametrize("more_settings", [KEYED])
def test_a_policy_that_nobody_can_follow_is_not_given_to_a_key(client):
    answer = minted(client, safety="refuse")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "safety")
    assert minted(client, safety="allow").status_code == 201
