"""A worker without a model: it ends jobs at once, through the state machine."""

import hashlib

from service import jobs
from service.storage import key_for
from tests.support.upload_samples import png

ENCODERS = {"text_encoder": jobs.EncoderRows(vectors=1, dim=4, magnitude=0.39)}
ROWS = b"learned rows"


class FakeWorker:
    def __init__(self, service):
        self.service = service

    def work(self):
        """Finish every queued job; returns their ids."""
        claims = self.claim()
        for claim in claims:
            self.finish(claim)
        return [claim.job_id for claim in claims]

    def claim(self):
        with self.service.database.writing() as session:
            return jobs.claim(
                session,
                worker_id="ada",
                models=list(self.service.catalogue),
                slots={"pictures": 100, "trainings": 100, "rpcs": 0},
                lease_s=60,
            )

    def finish(self, claim):
        if claim.kind == "train":
            self.write(jobs.finish_training, claim, self.embedding(claim))
        else:
            for position in range(claim.input.slots):
                self.add(claim, "image", position)
            self.write(jobs.succeed, claim)

    def embedding(self, claim):
        key = key_for(claim.owner_id, "embeddings", ROWS + claim.job_id.encode(), "safetensors")
        self.service.storage.put(key, ROWS, "application/octet-stream")
        return jobs.StoredEmbedding(
            sha256=hashlib.sha256(ROWS).hexdigest(), key=key, encoders=ENCODERS, bytes=len(ROWS), steps=claim.total
        )

    def add(self, claim, role, position, data=None):
        data = data or png((64 + position, 64))
        key = key_for(claim.owner_id, "images", data + claim.job_id.encode(), "png")
        self.service.storage.put(key, data, "image/png")
        image = jobs.NewImage(
            role=role,
            position=position,
            key=key,
            sha256=hashlib.sha256(data).hexdigest(),
            content_type="image/png",
            width=64 + position,
            height=64,
            bytes=len(data),
            seed=position,
            prompt="a photo",
        )
        return self.write(jobs.add_image, claim, image)

    def progress(self, claim, step, loss=0.5):
        self.write(jobs.progress, claim, step=step, total=claim.total, loss=loss, eta_s=1.5)

    def write(self, move, *arguments, **keywords):
        with self.service.database.writing() as session:
            return move(session, *arguments, **keywords)
