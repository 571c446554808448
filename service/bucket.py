"""The bucket of a database: an object with the database's id, so that nothing is deleted from a stranger's bucket.

A restored or empty database beside a full bucket refers to few of its objects: without this check, all others would be
orphans.
"""

import json
from typing import Literal

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.context import Service
from service.database.ids import new_id
from service.database.tables import Concept, Installation, Job
from service.errors import BucketForeignError, ObjectMissingError
from service.retention import is_ours
from service.storage import ObjectStore

IDENTITY_KEY = "dti-bucket.json"
_LISTED = 1000

Collection = Literal["ok", "foreign_bucket", "too_many_orphans"]
"""Whether orphans are collected, and why not."""


def installation(session: Session) -> Installation:
    """The row of this database, created where it is missing; its id is drawn once."""
    row = session.scalars(select(Installation)).one_or_none()
    if row is None:
        # Two tasks of maintenance may create it at once.
        insert = (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert
        values = {"number": 1, "id": new_id("dbs"), "collection": "ok", "orphans": 0}
        session.execute(insert(Installation).values(values).on_conflict_do_nothing())
        row = session.scalars(select(Installation)).one()
    return row


def claim(service: Service, *, adopt: bool = False) -> None:
    """Check that the bucket belongs to this database; an empty bucket without an id gets it.

    Args:
        service: with the database and the object store.
        adopt: replace the id of another database, whose objects may then be deleted as orphans.

    Raises:
        BucketForeignError: it belongs to another database, or holds objects and no id while this database is new.
        UnavailableError: the database or the object store does not answer.
    """
    with service.database.writing() as session:
        database_id, is_new = _identify(session)
    owner_id = _owner(service.storage)
    if owner_id == database_id:
        return
    foreign = owner_id is not None or (is_new and _holds_objects(service.storage))
    if foreign and not adopt:
        raise BucketForeignError(service.settings.s3_bucket, owner_id, database_id)
    content = json.dumps({"database": database_id}).encode()
    service.storage.put(IDENTITY_KEY, content, "application/json")


def record(session: Session, collection: Collection, orphans: int = 0) -> None:
    """Store whether orphans are collected, for the metrics.

    Args:
        session: of a writing transaction.
        collection: the state.
        orphans: found and not deleted.
    """
    row = installation(session)
    row.collection, row.orphans = collection, orphans


def _identify(session: Session) -> tuple[str, bool]:
    """The id of the database, and whether it is new: without a concept or job."""
    used = any(session.scalars(select(table.id).limit(1)).first() for table in (Concept, Job))
    return installation(session).id, not used


def _owner(storage: ObjectStore) -> str | None:
    """The id in the bucket; None without one, "" where it cannot be read."""
    try:
        content = json.loads(storage.get(IDENTITY_KEY))
    except ObjectMissingError:
        return None
    except ValueError:
        return ""
    owner = content.get("database") if isinstance(content, dict) else ""
    return owner if isinstance(owner, str) else ""


def _holds_objects(storage: ObjectStore) -> bool:
    return any(is_ours(item.key) for item in storage.list_after("", _LISTED))
