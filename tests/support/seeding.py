"""Many concepts and pictures without a model: rows as a long use leaves them, over a few shared objects."""

import json
from datetime import UTC, datetime

from sqlalchemy import insert

from service.concepts.concepts import CheckedConcept, search_text
from service.context import Service
from service.database.ids import new_id
from service.database.search import folded
from service.database.tables import LOCAL_OWNER_ID, Concept, EmbeddingVersion, Image, Job, JobConcept, Picture
from service.settings import Settings
from service.storage import key_for
from stack.processes import LOOPBACK
from tests.support.queue_driver import job_input
from tests.support.stack import drawings

SUBJECTS = ("owl", "mug", "lamp", "boat", "tree", "clock", "chair", "kite")
PLACES = ("in the snow", "on the beach", "at night", "on a table", "in a garden")
PER_JOB = 4
BATCH = 2000


def seed(service, concepts, images):
    """Write so many ready concepts and generated pictures of the local owner."""
    objects = [stored(service, data) for colour in ("crimson", "navy", "olive") for data in drawings(colour)]
    named = [concept(number) for number in range(concepts)]
    with service.database.writing() as session:
        session.execute(insert(Concept), [row for row, _, _ in named])
        session.execute(insert(Picture), [picture(row["id"], objects[n % 12]) for n, (row, _, _) in enumerate(named)])
        session.execute(insert(EmbeddingVersion), [version for _, version, _ in named])
    jobs = [job(number, named[number % concepts][0] if concepts else None) for number in range(images // PER_JOB)]
    rows = [image(made, position, objects[(n + position) % 12]) for n, made in enumerate(jobs) for position in range(4)]
    with service.database.writing() as session:
        for table, values in ((Job, [made["job"] for made in jobs]), (Image, rows)):
            for start in range(0, len(values), BATCH):
                session.execute(insert(table), values[start : start + BATCH])
        session.execute(insert(JobConcept), [made["pin"] for made in jobs if made["pin"]])


def stored(service, data):
    key = key_for(LOCAL_OWNER_ID, "images/seeded", data, "png")
    service.storage.put(key, data, "image/png")
    return {"key": key, "sha256": "0" * 64, "content_type": "image/png", "width": 96, "height": 96, "bytes": len(data)}


def concept(number):
    """The rows of a concept, of its embedding, and its name."""
    name = f"{SUBJECTS[number % len(SUBJECTS)]}-{number}"
    checked = CheckedConcept(
        owner_id=LOCAL_OWNER_ID,
        name=name,
        class_word=SUBJECTS[number % len(SUBJECTS)],
        learnable_property="object",
        model="tiny",
        method="import",
    )
    row = {**vars(checked), "training": {}, "id": new_id("con"), "version": 1, "tags": [], "created_at": now()}
    row |= {"search_text": search_text(checked, ()), "updated_at": now()}
    version = {"id": new_id("emb"), "concept_id": row["id"], "number": 1, "key": f"own_local/embeddings/{number}"}
    version |= {"sha256": "0" * 64, "bytes": 1, "steps": 0, "created_at": now()}
    version["encoders"] = {"text_encoder": {"vectors": 1, "dim": 128, "magnitude": 0.4}}
    return row, version, name


def picture(concept_id, stored_object):
    return {"id": new_id("img"), "concept_id": concept_id, "position": 0, "filename": "1.png", **stored_object}


def job(number, pinned):
    """A finished generation, and its concept."""
    name = pinned["name"] if pinned else "nothing"
    prompt = f"a photo of <{name}> {PLACES[number % len(PLACES)]}, number {number}"
    made = job_input("generate", slots=PER_JOB).to_json() | {"prompt": prompt}
    row = {"id": new_id("job"), "owner_id": LOCAL_OWNER_ID, "kind": "generate", "status": "succeeded", "model": "tiny"}
    row |= {"input": made, "slots": PER_JOB, "priority_class": 1, "rank": number, "step": 80, "total": 80}
    row |= {"created_at": now(), "queued_at": now(), "finished_at": now(), "last_event_number": 0, "warnings": []}
    pin = {"job_id": row["id"], "position": 0, "concept_id": pinned["id"], "name": name} if pinned else None
    return {"job": row, "pin": pin, "prompt": prompt}


def image(made, position, stored_object):
    seed_number = made["job"]["rank"] * PER_JOB + position
    return {
        "id": new_id("img"),
        "owner_id": LOCAL_OWNER_ID,
        "job_id": made["job"]["id"],
        "role": "image",
        "position": position,
        "seed": seed_number,
        "prompt": made["prompt"],
        "favourite": False,
        "search_text": folded(made["prompt"], str(seed_number)),
        "created_at": now(),
        **stored_object,
    }


def now():
    return datetime.now(UTC)


def open_service(stack):
    """The service of a running stack, on the same stores."""
    kept = json.loads((stack.home / "stack.json").read_text())
    return Service.open(
        Settings.from_environment(
            {
                "DTI_HOME": str(stack.home),
                "DTI_DATABASE_URL": f"sqlite:///{stack.home / 'dti.db'}",
                "DTI_BROKER_URL": f"redis://{LOOPBACK}:{kept['valkey_port']}/0",
                "DTI_S3_ENDPOINT": f"http://{LOOPBACK}:{kept['s3_port']}",
                "DTI_S3_ACCESS_KEY": kept["s3_access_key"],
                "DTI_S3_SECRET_KEY": kept["s3_secret_key"],
            }
        )
    )
