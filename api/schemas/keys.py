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

    requests_per_minute: Quota = None
    unfinished_jobs: Quota = None
    device_s_per_day: Quota = None
    stored_bytes: Quota = None


class NewKeyRequest(RequestModel):
    """A key to mint."""

    owner: Annotated[Text, Field(description="The name of its owner; an unknown owner is created.")]
    name: Annotated[Text, Field(description="A name for the key.")]
    scopes: Annotated[
        list[Scope], Field(min_length=1, description="The operations that the key allows; `admin` allows all.")
    ]
    expires_at: Annotated[AwareDatetime | None, Field(strict=False, description="Null: it does not expire.")] = None
    quotas: KeyQuotasRequest | None = None
    safety: Annotated[
        Policy | None, Field(description="The policy for flagged pictures; null for the service's policy.")
    ] = None


class KeyQuotas(ResponseModel):
    """Quotas of a key; null for the service's quota, 0 for no limit."""

    requests_per_minute: int | None
    unfinished_jobs: int | None
    device_s_per_day: int | None
    stored_bytes: int | None


class Limits(ResponseModel):
    """The limits of the caller, from its key or from the service; null for no limit."""

    requests_per_minute: int | None
    unfinished_jobs: int | None
    device_s_per_day: int | None
    stored_bytes: int | None


class Usage(ResponseModel):
    """An owner's usage: device seconds, jobs and images of today (UTC); unfinished jobs and stored bytes now."""

    owner: str
    day: date
    device_s: float
    jobs: int
    pictures: int
    unfinished_jobs: int
    stored_bytes: int
    limits: Limits


class Key(ResponseModel):
    """An API key; its secret cannot be read again."""

    id: str
    owner: str
    name: str
    prefix: str
    scopes: list[Scope]
    quotas: KeyQuotas
    safety: Policy | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class MintedKey(ResponseModel):
    """A new key and its secret, which is shown only here."""

    key: Key
    secret: str


class KeyPage(ResponseModel):
    """A page of keys, newest first; `next` is the cursor of the next page."""

    items: list[Key]
    next: str | None
