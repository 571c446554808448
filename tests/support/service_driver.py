"""A driver of the service without a model: it creates and trains concepts and submits requests by its rules."""

import hashlib
from dataclasses import replace

from dti.spec.settings import Interpolation
from service import jobs
from service.concepts import concepts, generations, listing
from service.concepts.concepts import ConceptParams, RetrainParams
from service.concepts.generations import GenerateParams, InterpolateParams
from service.database.tables import LOCAL_OWNER_ID
from service.uploads.records import StoredPicture
from tests.support.queue_driver import QueueDriver


class ServiceDriver(QueueDriver):
    def __init__(self, service):
        super().__init__(service.database, service.broker)
        self.service = replace(service, database=self.database)

    def limit(self, **limits):
        """Change the service's limits from now on."""
        settings = self.service.settings
        changed = replace(settings, limits=replace(settings.limits, **limits))
        self.service = replace(self.service, settings=changed)

    def concept(self, name, *, owner=LOCAL_OWNER_ID, ready=True, vectors=1, content=None, pictures=("a",), **fields):
        """A new concept; a `ready` one has a finished training and an embedding."""
        params = ConceptParams(name=name, **{"class_word": "dog", **fields})
        with self.database.reading() as session:
            new = concepts.check_new(self.service, session, owner, params)
        with self.database.writing() as session:
            concept, job = concepts.create(self.service, session, new, [picture(owner, p) for p in pictures])
        if ready:
            self.finish_training(job, vectors=vectors, content=content)
        return concept

    def finish_training(self, job, *, content=None, vectors=1):
        """End a training job successfully, with a made-up embedding."""
        (claim,) = [claim for claim in self.claim(models=[job.model], pictures=0) if claim.job_id == job.id]
        digest = sha256(content or job.id)
        encoders = {"text_encoder": jobs.EncoderRows(vectors=vectors, dim=128, magnitude=0.4)}
        key = f"{job.owner_id}/embeddings/{digest}.safetensors"
        made = jobs.StoredEmbedding(sha256=digest, key=key, encoders=encoders, bytes=900, steps=400)
        return self.write(jobs.finish_training, claim, made)

    def retrain(self, reference, *, owner=LOCAL_OWNER_ID, **fields):
        with self.database.writing() as session:
            return concepts.retrain(self.service, session, owner, reference, RetrainParams(**fields))

    def generate(self, prompt, *, owner=LOCAL_OWNER_ID, **fields):
        params = generate_params(prompt=prompt, **fields)
        with self.database.writing() as session:
            return generations.submit_generation(self.service, session, owner, params)

    def interpolate(self, start, end, *, owner=LOCAL_OWNER_ID, **fields):
        params = interpolate_params(start=start, end=end, **fields)
        with self.database.writing() as session:
            return generations.submit_interpolation(self.service, session, owner, params)

    def delete(self, reference, *, owner=LOCAL_OWNER_ID):
        with self.database.writing() as session:
            return concepts.delete(session, owner, reference)

    def get(self, reference, *, owner=LOCAL_OWNER_ID):
        with self.database.reading() as session:
            return concepts.get(session, owner, reference)

    def page(self, cursor=None, limit=100, *, owner=LOCAL_OWNER_ID, sort="newest", **filters):
        with self.database.reading() as session:
            return listing.page(session, owner, listing.Filters(**filters), cursor, limit, sort=sort)


def generate_params(**fields):
    """A generation's parameters; settings stand beside the other fields, as in a request."""
    own, rendering = divided(fields, GenerateParams)
    return GenerateParams(**own, rendering=rendering)


def interpolate_params(**fields):
    """An interpolation's parameters; settings stand beside the other fields, as in a request."""
    own, settings = divided(fields, InterpolateParams)
    interpolation = {name: settings.pop(name) for name in Interpolation.__dataclass_fields__ if name in settings}
    return InterpolateParams(**own, interpolation=interpolation, rendering=settings)


def divided(fields, kind):
    """The fields of a kind of parameters, and the settings beside them; None stands for a default."""
    given = {name: value for name, value in fields.items() if value is not None}
    own = {name: value for name, value in given.items() if name in kind.__dataclass_fields__}
    return own, {name: value for name, value in given.items() if name not in own}


def sha256(content):
    return hashlib.sha256(content.encode()).hexdigest()


def picture(owner, content):
    return StoredPicture(
        key=f"{owner}/pictures/{sha256(content)}.png",
        sha256=sha256(content),
        filename=f"{content}.jpg",
        content_type="image/png",
        width=64,
        height=64,
        bytes=100,
        caption=f"a photo of {content}",
    )


def image(position, content, **rest):
    return jobs.NewImage(
        role="image",
        position=position,
        key=f"own_local/images/{sha256(content)}.png",
        sha256=sha256(content),
        content_type="image/png",
        width=64,
        height=64,
        bytes=100,
        **rest,
    )
