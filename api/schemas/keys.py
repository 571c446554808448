"""Keys and usage, as they are asked for and answered."""

from datetime import date, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from api.schema_fields import RequestModel, Text
from api.schemas.responses import ResponseModel
from service.accounts.keys import Scope
from service.safety import Policy

_MOST = 2**53 - 1
"""What any JSON reader takes exactly."""

Bound = Annotated[int | None, Field(ge=0, le=_MOST)]


class KeyQuotasRequest(RequestModel):
    """Bounds of a key's own instead of the service's; 0 is no bound, null the service's."""

    requests_per_minute: Bound = None
    unfinished_jobs: Bound = None
    device_s_per_day: Bound = None
    stored_bytes: Bound = None


class NewKeyRequest(RequestModel):
    """A key that is to be minted."""

    owner: Annotated[Text, Field(description="Whom it speaks for, by name; made where nobody is called so.")]
    name: Annotated[Text, Field(description="What people call the key.")]
    scopes: Annotated[list[Scope], Field(min_length=1, description="What it allows; `admin` allows everything.")]
    expires_at: Annotated[AwareDatetime | None, Field(strict=False, description="Null for never.")] = None
    quotas: KeyQuotasRequest | None = None
    safety: Annotated[
        Policy | None, Field(description="What is done about flagged pictures; null for what the service does.")
    ] = None


class KeyQuotas(ResponseModel):
    """Bounds of a key's own; null where the service's hold, 0 where none does."""

    requests_per_minute: int | None
    unfinished_jobs: int | None
    device_s_per_day: int | None
    stored_bytes: int | None


class Limits(ResponseModel):
    """What holds for the caller, by a key's own bounds or the service's; null where there is no bound."""

    requests_per_minute: int | None
    unfinished_jobs: int | None
    device_s_per_day: int | None
    stored_bytes: int | None


class Usage(ResponseModel):
    """What an owner used: today (UTC) of the devices, jobs and pictures made; and what they have now."""

    owner: str
    day: date
    device_s: float
    jobs: int
    pictures: int
    unfinished_jobs: int
    stored_bytes: int
    limits: Limits


class Key(ResponseModel):
    """What somebody proves by that they may call; the secret itself cannot be read again."""

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
    """A new key and its secret, which is shown this once."""

    key: Key
    secret: str


class KeyPage(ResponseModel):
    """Some keys, newest first; `next` is the cursor of what follows."""

    items: list[Key]
    next: str | None
