"""Owners, one at a time: several who take of what an owner has left would each see the last of it. Knows no bound."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import Owner


def hold(session: Session, owner_id: str) -> None:
    """Have whoever else holds this owner wait until the transaction ends."""
    session.execute(select(Owner.id).where(Owner.id == owner_id).with_for_update(key_share=True)).one()
