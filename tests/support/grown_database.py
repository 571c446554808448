"""A database with a long past and a long queue, made of copies of a few rows that the service's rules wrote."""

from datetime import timedelta

from sqlalchemy import insert, select, update

from service.database.tables import (
    LOCAL_OWNER_ID,
    Concept,
    Delivery,
    EmbeddingVersion,
    Event,
    IdempotencyKey,
    Image,
    Job,
    JobConcept,
    Owner,
    Picture,
    Webhook,
)
from tests.support.queue_driver import NOON

OTHER_OWNERS = 10
OWN_WAITING = 5
LONG_AGO = NOON - timedelta(days=3)
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def numbered(prefix, number):
    """An id in the order of its number, from before 1970: older than every id of the service."""
    digits = ""
    for _ in range(26):
        number, digit = divmod(number, 32)
        digits = _ALPHABET[digit] + digits
    return f"{prefix}_{digits}"


def grow(driver, count):
    """Adds `count` waiting jobs of other owners, ended jobs with an image each, concepts, deliveries and kept keys."""
    _add_few(driver)
    with driver.database.writing() as session:
        owners = [f"own_{number}" for number in range(OTHER_OWNERS)]
        session.add_all(Owner(id=owner, name=owner, created_at=LONG_AGO) for owner in owners)
        session.flush()
        waiting, ended, image = (_columns(session, *where) for where in _TEMPLATES)
        numbers = range(count)
        _insert(session, Job, waiting, (_waiting(waiting, number, owners) for number in numbers))
        times = {"created_at": LONG_AGO, "queued_at": LONG_AGO, "started_at": LONG_AGO, "finished_at": LONG_AGO}
        _insert(session, Job, ended, (times | {"id": numbered("job", number)} for number in numbers))
        _insert(session, Image, image, (_image(number) for number in numbers))
        _add_events(session, numbers)
        _add_concepts(session, numbers)
        _add_records(session, numbers)


_TEMPLATES = ((Job, Job.status == "queued"), (Job, Job.status == "succeeded"), (Image, Image.role == "image"))


def _add_few(driver):
    """A concept with its ended training and an image, and a few waiting jobs."""
    driver.concept("my-dog")
    job = driver.submit("generate")
    with driver.database.writing() as session:
        facts = {
            "sha256": "0" * 64,
            "content_type": "image/png",
            "width": 64,
            "height": 64,
            "bytes": 9,
            "search_text": " ",
        }
        session.add(
            Image(
                id=numbered("img", 32**20),
                owner_id=LOCAL_OWNER_ID,
                job_id=job,
                role="image",
                position=0,
                key="k",
                created_at=NOON,
                **facts,
            )
        )
        session.add(_webhook())
    for _ in range(OWN_WAITING - 1):
        driver.submit("generate")


def _webhook():
    columns = {"id": "whk_x", "owner_id": LOCAL_OWNER_ID, "url": "https://example.org", "events": ["job.done"]}
    return Webhook(**columns, secret="whsec_x", enabled=True, created_at=LONG_AGO, updated_at=LONG_AGO)


def _columns(session, table, condition):
    row = session.scalars(select(table).where(condition).limit(1)).one()
    return {attribute.key: getattr(row, attribute.key) for attribute in table.__mapper__.column_attrs}


def _insert(session, table, template, changes):
    rows = [template | change for change in changes]
    for start in range(0, len(rows), 2000):
        session.execute(insert(table), rows[start : start + 2000])


def _waiting(template, number, owners):
    return {
        "id": numbered("job", 32**18 + number),
        "owner_id": owners[number % len(owners)],
        "rank": template["rank"] + number // len(owners),
        "model": "tiny" if number % 2 else "other",
    }


def _image(number):
    position = {"id": numbered("img", number), "job_id": numbered("job", number), "position": 0}
    return position | {"key": f"own_local/images/{number}.png", "created_at": LONG_AGO}


def _add_events(session, numbers):
    rows = [
        {"job_id": numbered("job", number), "number": 1, "name": "status", "data": {}, "created_at": LONG_AGO}
        for number in numbers
    ]
    session.execute(insert(Event), rows)
    concepts = [
        {"job_id": numbered("job", number), "position": 0, "concept_id": numbered("con", number), "name": f"c-{number}"}
        for number in numbers
    ]
    session.execute(insert(JobConcept), concepts)


def _add_concepts(session, numbers):
    for table in (Concept, Picture, EmbeddingVersion):
        template = _columns(session, table, table.id.is_not(None))
        _insert(session, table, template, (_concept_row(table, number) for number in numbers))
    session.execute(
        update(Concept).where(Concept.id < numbered("con", 32**20)).values(job_id=None, created_at=LONG_AGO)
    )


def _concept_row(table, number):
    concept_id = numbered("con", number)
    if table is Concept:
        return {"id": concept_id, "name": f"c-{number}", "search_text": f" c-{number} "}
    key = f"own_local/{table.__tablename__}/{number}"
    return {"id": numbered("img" if table is Picture else "emb", number), "concept_id": concept_id, "key": key}


def _add_records(session, numbers):
    common = {"webhook_id": "whk_x", "url": "https://example.org", "type": "job.done", "body": "{}", "created_at": NOON}
    deliveries = [{"id": numbered("dlv", number), "status": "delivered", **common} for number in numbers]
    session.execute(insert(Delivery), deliveries)
    later = NOON + timedelta(hours=20)
    kept = {"owner_id": LOCAL_OWNER_ID, "fingerprint": "0" * 64, "token": "t", "status": 202, "expires_at": later}
    session.execute(insert(IdempotencyKey), [kept | {"key": f"key-{number}"} for number in numbers])
