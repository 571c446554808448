"""One transaction per owner at a time: two that check a limit at once would each see the last free place."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import Owner


def lock(session: Session, owner_id: str) -> None:
    """Serialise the transactions that take from what this owner has left."""
    session.execute(select(Owner.id).where(Owner.id == owner_id).with_for_update(key_share=True)).one()
