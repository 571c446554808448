"""Webhook secrets and signatures.

Secrets are stored in plain text, since signing needs them; they are shown once, and never in lists or logs.

Source: Standard Webhooks, https://www.standardwebhooks.com, symmetric signatures.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime

_PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """A new secret in the form of the Standard Webhooks libraries."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def headers(message_id: str, body: bytes, signed_with: Iterable[str], now: datetime) -> dict[str, str]:
    """The headers by which a receiver verifies origin and age of a message; one signature per secret."""
    timestamp = str(int(now.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    signatures = " ".join(f"v1,{_sign(secret, signed)}" for secret in signed_with)
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signatures}


def _sign(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
