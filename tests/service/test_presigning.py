"""Presigned URLs are boto3's, made faster."""

from datetime import UTC, datetime
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
