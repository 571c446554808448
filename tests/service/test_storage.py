"""The object store in S3: round trips, presigned addresses without headers, and errors as the service names them."""

import dataclasses
import hashlib
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest

from service.errors import ObjectMissingError, SettingsError, StorageUnavailableError
from service.settings import Settings
from service.storage import ObjectStore, key_for
from stack.processes import free_port

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))

REFUSED = {400, 403}
"""S3 itself answers 403; other servers say 400 for an address that is not signed well."""


@pytest.fixture
def s3_settings(s3):
    return Settings(
        s3_endpoint=s3.endpoint, s3_access_key=s3.access_key, s3_secret_key=s3.secret_key, s3_bucket=s3.bucket
    )


@pytest.fixture
def objects(s3_settings):
    opened = ObjectStore(s3_settings)
    opened.ensure_bucket()
    yield opened
    opened.close()


def test_bytes_are_read_back_unchanged(objects):
    objects.put("own_local/images/a.png", PNG, "image/png")
    assert objects.get("own_local/images/a.png") == PNG
    assert objects.exists("own_local/images/a.png")


def test_a_missing_object_is_named(objects):
    with pytest.raises(ObjectMissingError, match="own_local/nothing"):
        objects.get("own_local/nothing.png")
    assert not objects.exists("own_local/nothing.png")


def test_a_missing_bucket_is_no_missing_object(s3_settings):
    objects = ObjectStore(s3_settings)
    for ask in (lambda: objects.put("a.png", PNG, "image/png"), lambda: objects.get("a.png")):
        with pytest.raises(StorageUnavailableError, match="dti migrate"):
            ask()
    objects.close()


def test_keys_hold_owner_prefix_and_digest():
    key = key_for("own_local", "images", PNG, "png")
    assert key == f"own_local/images/{hashlib.sha256(PNG).hexdigest()}.png"


def test_deleting_is_idempotent(objects):
    keys = [f"own_local/images/{number}.png" for number in range(3)]
    for key in keys:
        objects.put(key, PNG, "image/png")
    objects.delete(keys[:2])
    objects.delete(keys[:2])
    assert [objects.exists(key) for key in keys] == [False, False, True]


def test_deleting_nothing_sends_no_request(s3_settings):
    ObjectStore(dataclasses.replace(s3_settings, s3_endpoint=f"http://127.0.0.1:{free_port()}")).delete([])


def test_more_keys_than_fit_one_request_are_deleted(objects):
    objects.put("own_local/images/last.png", PNG, "image/png")
    objects.delete([*(f"own_local/images/{number}.png" for number in range(1000)), "own_local/images/last.png"])
    assert not objects.exists("own_local/images/last.png")


@pytest.mark.parametrize(
    ("extension", "content_type"), [("png", "image/png"), ("webp", "image/webp"), ("jpg", "image/jpeg")]
)
def test_a_signed_url_is_read_by_a_plain_get_with_the_right_type(objects, extension, content_type):
    key = key_for("own_local", "images", PNG, extension)
    objects.put(key, PNG, content_type)
    with urllib.request.urlopen(objects.url(key, expires_s=60)) as answer:
        assert answer.read() == PNG
        assert answer.headers["Content-Type"] == content_type


def test_a_url_without_its_signature_is_refused(objects):
    objects.put("own_local/images/a.png", PNG, "image/png")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(objects.url("own_local/images/a.png", expires_s=60).partition("?")[0])
    assert refused.value.code in REFUSED
    refused.value.close()


def test_a_signed_url_expires(objects):
    objects.put("own_local/images/a.png", PNG, "image/png")
    address = objects.url("own_local/images/a.png", expires_s=1)
    time.sleep(2.1)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address)
    assert refused.value.code in REFUSED
    refused.value.close()


def test_urls_are_signed_for_the_public_host(s3_settings):
    public = ObjectStore(dataclasses.replace(s3_settings, s3_public_endpoint="https://pictures.example.org"))
    assert public.url("a.png", expires_s=60).startswith(f"https://pictures.example.org/{s3_settings.s3_bucket}/a.png?")


def test_many_threads_can_create_the_bucket_at_once(s3_settings):
    errors = []

    def make():
        try:
            ObjectStore(s3_settings).ensure_bucket()
        except Exception as error:  # noqa: BLE001  (whatever a thread meets, the test reports)
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_missing_bucket_is_noticed(s3_settings):
    with pytest.raises(ObjectMissingError):
        ObjectStore(s3_settings).check()


def test_a_wrong_key_is_reported_as_a_refusal(objects, s3_settings):
    unauthorized = ObjectStore(dataclasses.replace(s3_settings, s3_secret_key="wrong"))
    with pytest.raises(StorageUnavailableError, match="refused"):
        unauthorized.put("own_local/images/a.png", PNG, "image/png")


def test_a_store_that_is_down_is_reported_quickly_with_its_cause(s3_settings):
    down = ObjectStore(dataclasses.replace(s3_settings, s3_endpoint=f"http://127.0.0.1:{free_port()}"))
    begin = time.monotonic()
    with pytest.raises(StorageUnavailableError, match="cannot be reached") as raised:
        down.get("own_local/images/a.png")
    assert time.monotonic() - begin < 5
    assert raised.value.__cause__ is not None


def test_without_a_url_the_setting_is_named():
    with pytest.raises(SettingsError, match="DTI_S3_ENDPOINT"):
        ObjectStore(Settings())


def test_a_listing_continues_after_a_key(objects):
    keys = [f"own_{owner}/images/job_{n}-1/{n:02}.png" for owner in ("ada", "bob") for n in range(3)]
    for key in keys:
        objects.put(key, PNG, "image/png")
    listed, after = [], ""
    while page := objects.list_after(after, 2):
        assert len(page) <= 2
        after = page[-1].key
        listed += page
    assert [entry.key for entry in listed] == keys
    assert all(abs((datetime.now(UTC) - entry.stored_at).total_seconds()) < 60 for entry in listed)
