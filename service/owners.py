"""Whom things belong to where nobody says who they are."""

from datetime import datetime

from sqlalchemy.orm import Session

from service.tables import LOCAL_OWNER_ID, Owner


def ensure_local_owner(session: Session, now: datetime) -> Owner:
    """The owner of everything while keys are off; made where the row is missing."""
    owner = session.get(Owner, LOCAL_OWNER_ID)
    if owner is None:
        owner = Owner(id=LOCAL_OWNER_ID, name="local", created_at=now)
        session.add(owner)
    return owner
