"""Which objects of the storage somebody still refers to. Deletes nothing itself."""

from collections.abc import Collection

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from service.database.tables import UNFINISHED, EmbeddingVersion, Image, Job, JobConcept, Picture


def unreferenced(session: Session, keys: Collection[str]) -> list[str]:
    """Those of some keys that no picture, image, embedding, checkpoint, RPC or pinned embedding refers to.

    Equal bytes of one owner are one object, so that deleting a thing must not take its twin's object along.
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
