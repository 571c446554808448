"""Locks of owners: concurrent transactions that check a limit would otherwise each see the last free place."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import Owner


def lock(session: Session, owner_id: str) -> None:
    """Serialise the transactions that count an owner's resources against a limit."""
    session.execute(select(Owner.id).where(Owner.id == owner_id).with_for_update(key_share=True)).one()
