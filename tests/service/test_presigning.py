"""Presigned URLs are boto3's, made faster."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from service.presigning import Credentials, Presigner

NOW = datetime(2026, 2, 28, 23, 59, 58, tzinfo=UTC)
ENDPOINTS = ("http://127.0.0.1:9000", "https://s3.example.org", "https://s3.example.org:443", "http://store:80/under")
TEMPORARY = Credentials("AKIA/TEMP", "sec+ret/key", "a+token/with=signs")


def boto3_url(endpoint, key, credentials, expires_s):
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.token,
        region_name="eu-west-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    with patch("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        return client.generate_presigned_url(
            "get_object", Params={"Bucket": "pictures", "Key": key}, ExpiresIn=expires_s
        )


def parsed(url):
    parts = urlsplit(url)
    return parts.scheme, parts.netloc, parts.path, sorted(parse_qsl(parts.query, strict_parsing=True))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("credentials", [Credentials("key", "secret"), TEMPORARY], ids=["lasting", "temporary"])
def test_a_url_is_boto3s(endpoint, credentials):
    key = "local/images/0f.png"
    url = Presigner(endpoint, "pictures", "eu-west-1").url(key, 900, credentials, NOW)
    assert parsed(url) == parsed(boto3_url(endpoint, key, credentials, 900))


@settings(max_examples=20, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1), st.integers(1, 604_800))
def test_every_key_of_an_object_is_signed_as_boto3_does(key, expires_s):
    url = Presigner(ENDPOINTS[0], "pictures", "eu-west-1").url(key, expires_s, TEMPORARY, NOW)
    assert parsed(url) == parsed(boto3_url(ENDPOINTS[0], key, TEMPORARY, expires_s))


KEY = "local/images/" + "0f" * 32 + ".png"
PRESIGNER = Presigner("http://127.0.0.1:8000", "pictures", "eu-west-1")
LASTING = Credentials("key", "secret")


def parameters(key=KEY, expires_s=900, credentials=LASTING, now=None, presigner=PRESIGNER):
    return dict(parse_qsl(urlsplit(presigner.url(key, expires_s, credentials, now)).query))


@pytest.mark.parametrize("credentials", [LASTING, TEMPORARY], ids=["lasting", "temporary"])
def test_its_own_signature_is_valid_until_it_expires(credentials):
    assert PRESIGNER.is_valid(KEY, parameters(credentials=credentials), credentials)
    now = datetime.now(UTC)
    assert PRESIGNER.is_valid(KEY, parameters(now=now - timedelta(seconds=890)), LASTING)
    assert not PRESIGNER.is_valid(KEY, parameters(now=now - timedelta(seconds=901)), LASTING)
    assert not PRESIGNER.is_valid(KEY, parameters(now=now + timedelta(hours=1)), LASTING)
    assert not PRESIGNER.is_valid(KEY, parameters(expires_s=700_000), LASTING)


@pytest.mark.parametrize(
    "changes",
    [
        {"X-Amz-Signature": "0" * 64},
        {"X-Amz-Signature": "ä"},
        {"X-Amz-Expires": "901"},
        {"X-Amz-Expires": "x"},
        {"X-Amz-Date": "now"},
        {"X-Amz-Credential": "another/20260228/eu-west-1/s3/aws4_request"},
        {"list-type": "2"},
        {"response-content-type": "text/html"},
    ],
)
def test_a_changed_or_additional_parameter_is_invalid(changes):
    assert not PRESIGNER.is_valid(KEY, {**parameters(), **changes}, LASTING)


@pytest.mark.parametrize("name", sorted(parameters()))
def test_a_missing_parameter_is_invalid(name):
    assert not PRESIGNER.is_valid(KEY, {key: value for key, value in parameters().items() if key != name}, LASTING)


def test_a_signature_of_another_object_bucket_host_or_secret_is_invalid():
    others = [
        parameters(key=KEY.replace("images", "pictures")),
        parameters(presigner=Presigner(PRESIGNER.endpoint, "another", "eu-west-1")),
        parameters(presigner=Presigner("http://127.0.0.1:9000", "pictures", "eu-west-1")),
        parameters(credentials=Credentials("key", "another")),
    ]
    assert not any(PRESIGNER.is_valid(KEY, other, LASTING) for other in others)
