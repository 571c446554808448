"""The object store: pictures, embeddings and checkpoints in S3, by key. The one module that uses boto3.

URLs for clients are signed for the public address, since the host is part of the signature (`service.presigning`).
Objects are named by their content: equal bytes of an owner are stored once, and a repeated write is harmless. It knows
no job, concept or table.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from service.errors import ObjectMissingError, SettingsError, StorageUnavailableError
from service.presigning import Credentials, Presigner
from service.settings import Settings

_PROBE_S = 5
"""Timeout of a health check."""

_SERVED = re.compile(r"[\w-]+/(?:images|pictures)/(?:[\w-]+/)*[0-9a-f]{64}\.[a-z0-9]{2,5}", re.ASCII)
_INTERNAL_URL_EXPIRES_S = 60

_DELETE_LIMIT = 1000
"""Most keys in one S3 request to delete."""


def key_for(owner_id: str, prefix: str, data: bytes, extension: str) -> str:
    """The key of an object, `{owner}/{prefix}/{sha256}.{extension}`; servers derive its content type from that."""
    return f"{owner_id}/{prefix}/{hashlib.sha256(data).hexdigest()}.{extension}"


def is_served(key: str) -> bool:
    """Whether clients may get an object by a signed URL: pictures and images, not embeddings or checkpoints."""
    return _SERVED.fullmatch(key) is not None


@dataclass(frozen=True)
class StoredObject:
    """An object in a listing."""

    key: str
    stored_at: datetime


class ObjectStore:
    """A bucket; connects at its first use.

    Raises:
        SettingsError: no address is set.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.s3_endpoint is None:
            raise SettingsError("DTI_S3_ENDPOINT is not set. Set it, or let `dti serve` start an S3 server of its own.")
        self._bucket = settings.s3_bucket
        public = settings.s3_public_endpoint or settings.s3_endpoint
        self._settings = settings
        self._client = _client(settings)
        self._presigner = Presigner(public, settings.s3_bucket, settings.s3_region)
        self._internal_presigner = Presigner(settings.s3_endpoint, settings.s3_bucket, settings.s3_region)

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store an object; an existing one is replaced.

        Raises:
            StorageUnavailableError: the object store cannot be reached or refuses.
        """
        with _translated(key):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data, ContentType=content_type)

    def get(self, key: str) -> bytes:
        """The bytes of an object.

        Raises:
            ObjectMissingError: it does not exist.
            StorageUnavailableError: the object store cannot be reached or refuses.
        """
        with _translated(key):
            data: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            return data

    def exists(self, key: str) -> bool:
        """Whether an object exists.

        Raises:
            StorageUnavailableError: the object store cannot be reached or refuses.
        """
        try:
            with _translated(key):
                self._client.head_object(Bucket=self._bucket, Key=key)
        except ObjectMissingError:
            return False
        return True

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; missing ones are ignored.

        Raises:
            StorageUnavailableError: the object store cannot be reached or refuses.
        """
        for batch in _batches(list(keys), _DELETE_LIMIT):
            with _translated(batch[0]):
                request = {"Objects": [{"Key": key} for key in batch], "Quiet": True}
                answer = self._client.delete_objects(Bucket=self._bucket, Delete=request)
            for error in answer.get("Errors", []):
                raise StorageUnavailableError(f"The object store refused to delete an object ({error['Code']}).")

    def list_after(self, after: str, limit: int) -> list[StoredObject]:
        """The next objects in the order of their keys; none at the end.

        Args:
            after: the last key of the previous call; "" to begin.
            limit: 1 to 1,000 objects.

        Raises:
            StorageUnavailableError: the object store cannot be reached or refuses.
        """
        with _translated(after):
            answer = self._client.list_objects_v2(Bucket=self._bucket, StartAfter=after, MaxKeys=limit)
        return [StoredObject(item["Key"], item["LastModified"]) for item in answer.get("Contents", ())]

    def url(self, key: str, expires_s: int) -> str:
        """A signed URL for GET requests until it expires; made without a request.

        Raises:
            StorageUnavailableError: no credentials are set or found.
        """
        return self._presigner.url(key, expires_s, self._credentials())

    def is_signed(self, key: str, parameters: Mapping[str, str]) -> bool:
        """Whether a URL with these parameters was signed by `url` for this object and has not expired.

        Raises:
            StorageUnavailableError: no credentials are set or found.
        """
        return self._presigner.is_valid(key, parameters, self._credentials())

    def internal_url(self, key: str) -> str:
        """A signed URL at the address that the service itself uses, valid for a minute.

        Raises:
            StorageUnavailableError: no credentials are set or found.
        """
        return self._internal_presigner.url(key, _INTERNAL_URL_EXPIRES_S, self._credentials())

    def ensure_bucket(self) -> None:
        """Create the bucket if it is missing; safe to run concurrently.

        Raises:
            StorageUnavailableError: the object store cannot be reached or refuses.
        """
        try:
            with _translated(self._bucket):
                self._client.head_bucket(Bucket=self._bucket)
        except ObjectMissingError:
            with _translated(self._bucket), _already_made():
                self._client.create_bucket(Bucket=self._bucket)

    def check(self) -> None:
        """Check that the bucket exists, with a short timeout.

        Raises:
            ObjectMissingError: there is no such bucket.
            StorageUnavailableError: the object store cannot be reached or refuses.
        """
        with _translated(self._bucket):
            self._prober.head_bucket(Bucket=self._bucket)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        if "_prober" in self.__dict__:
            self._prober.close()

    def _credentials(self) -> Credentials:
        """The set keys, or those that boto3 finds in its own environment: a file, an instance's role."""
        settings = self._settings
        if settings.s3_access_key and settings.s3_secret_key:
            return Credentials(settings.s3_access_key, settings.s3_secret_key)
        found = _session().get_credentials()
        if found is None:
            raise StorageUnavailableError(
                "No key of the object store is set. Set DTI_S3_ACCESS_KEY and DTI_S3_SECRET_KEY."
            )
        frozen = found.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    @cached_property
    def _prober(self) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
        return _client(self._settings, read_timeout_s=_PROBE_S, attempts=1)


@cache
def _session() -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
    """The process's one session: it keeps botocore's parsed description of S3, a megabyte of JSON."""
    return boto3.session.Session()


def _client(settings: Settings, *, read_timeout_s: float = 20, attempts: int = 2) -> Any:  # noqa: ANN401
    return _session().client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key,
        region_name=settings.s3_region,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=2,
            read_timeout=read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": attempts},
            # Checksums beyond what a request must carry are unknown to many servers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """Turn errors of boto3 into those of the service; their messages reach clients, and contain no address or key."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"].get("Code") == "NoSuchBucket":
            raise StorageUnavailableError("The storage has no bucket. Run `dti migrate`, which makes it.") from error
        if error.response["ResponseMetadata"].get("HTTPStatusCode") == 404:  # noqa: PLR2004  (HTTP's "not found")
            raise ObjectMissingError(key) from error
        code = error.response["Error"].get("Code", "no code")
        raise StorageUnavailableError(f"The object store refused ({code}). Try again in a moment.") from error
    except BotoCoreError as error:
        kind = type(error).__name__
        raise StorageUnavailableError(f"The object store cannot be reached ({kind}). Try again in a moment.") from error


@contextmanager
def _already_made() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise


def _batches(keys: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
