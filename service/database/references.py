"""References from rows to objects in the object store. It deletes nothing."""

from collections.abc import Collection

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from service.database.tables import UNFINISHED, EmbeddingVersion, Image, Job, JobConcept, Picture


def unreferenced(session: Session, keys: Collection[str]) -> list[str]:
    """The keys without a reference from a picture, image, embedding, checkpoint, RPC or pinned embedding.

    Equal bytes of an owner are one object, which stays until its last reference is deleted.
    """
    columns = (Picture.key, Image.key, EmbeddingVersion.key, Job.checkpoint_key, Job.file_key)
    pinned = (
        select(JobConcept.embedding_key)
        .join(Job, Job.id == JobConcept.job_id)
        .where(Job.status.in_(UNFINISHED), JobConcept.embedding_key.in_(keys))
    )
    named = session.scalars(union(*(select(column).where(column.in_(keys)) for column in columns), pinned))
    kept = set(named)
    return sorted(key for key in set(keys) if key not in kept)
