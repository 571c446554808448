"""Schemas of keys and usage."""

from datetime import date, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from api.schema_fields import RequestModel, Text
from api.schemas.responses import ResponseModel
from service.accounts.keys import Scope
from service.safety import Policy

_MAX_INTEGER = 2**53 - 1
"""The largest integer that all JSON parsers read exactly."""

Quota = Annotated[int | None, Field(ge=0, le=_MAX_INTEGER)]


class KeyQuotasRequest(RequestModel):
    """Quotas of a key that replace those of the service; 0 for no limit, null for the service's quota."""

    requests_per_minute: Annotated[Quota, Field(description="Requests a minute.")] = None
    unfinished_jobs: Annotated[Quota, Field(description="Unfinished jobs at once.")] = None
    device_s_per_day: Annotated[Quota, Field(description="Seconds of the device a day (UTC).")] = None
    stored_bytes: Annotated[Quota, Field(description="Bytes in the object store.")] = None


class NewKeyRequest(RequestModel):
    """A key to mint."""

    owner: Annotated[Text, Field(description="The name of its owner; an unknown owner is created.")]
    name: Annotated[Text, Field(description="A name for the key.")]
    scopes: Annotated[
        list[Scope], Field(min_length=1, description="The operations that the key allows; `admin` allows all.")
    ]
    expires_at: Annotated[AwareDatetime | None, Field(strict=False, description="Null: it does not expire.")] = None
    quotas: Annotated[
        KeyQuotasRequest | None, Field(description="Quotas that replace those of the service; null for none.")
    ] = None
    safety: Annotated[
        Policy | None, Field(description="The policy for flagged pictures; null for the service's policy.")
    ] = None


class KeyQuotas(ResponseModel):
    """Quotas of a key; null for the service's quota, 0 for no limit."""

    requests_per_minute: int | None
    """Requests a minute."""
    unfinished_jobs: int | None
    """Unfinished jobs at once."""
    device_s_per_day: int | None
    """Seconds of the device a day (UTC)."""
    stored_bytes: int | None
    """Bytes in the object store."""


class Limits(ResponseModel):
    """The limits of the caller, from its key or from the service; null for no limit."""

    requests_per_minute: int | None
    """Requests a minute."""
    unfinished_jobs: int | None
    """Unfinished jobs at once."""
    device_s_per_day: int | None
    """Seconds of the device a day (UTC)."""
    stored_bytes: int | None
    """Bytes in the object store."""


class Usage(ResponseModel):
    """An owner's usage: device seconds, jobs and images of today (UTC); unfinished jobs and stored bytes now."""

    owner: str
    """The owner's name."""
    day: date
    """The day (UTC) of device seconds, jobs and images."""
    device_s: float
    """Seconds of the device that were used."""
    jobs: int
    """Submitted jobs."""
    pictures: int
    """Generated images that still exist."""
    unfinished_jobs: int
    """Jobs that have not ended, now."""
    stored_bytes: int
    """Bytes of all pictures, images and embeddings, now."""
    limits: Limits
    """The limits of the caller."""


class Key(ResponseModel):
    """An API key; its secret cannot be read again."""

    id: str
    """The key's id."""
    owner: str
    """The name of its owner."""
    name: str
    """A name for people."""
    prefix: str
    """The first characters of its secret."""
    scopes: list[Scope]
    """The operations that it allows."""
    quotas: KeyQuotas
    """Its own quotas."""
    safety: Policy | None
    """Its own policy for flagged pictures; null for the service's."""
    created_at: datetime
    """When it was minted."""
    expires_at: datetime | None
    """When it expires; null for never."""
    revoked_at: datetime | None
    """When it was revoked; null if it was not."""
    last_used_at: datetime | None
    """Its last use, to the minute; null if there was none."""


class MintedKey(ResponseModel):
    """A new key and its secret, which is shown only here."""

    key: Key
    """The key."""
    secret: str
    """Its secret, `dti_…`; it cannot be read again."""


class KeyPage(ResponseModel):
    """A page of keys, newest first; `next` is the cursor of the next page."""

    items: list[Key]
    """The items of this page."""
    next: str | None
    """The cursor of the next page; null at the end."""
