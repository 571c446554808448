"""A worker and a client of the service in the test's process, with a small model of random weights."""

import io
import threading
import time
from dataclasses import replace
from datetime import timedelta

import numpy as np
from PIL import Image

from dti.embeddings.embedding import Embedding
from service import jobs
from service.concepts import concepts, generations
from service.concepts.concepts import CheckedConcept, RetrainParams
from service.concepts.trainings import complete_settings
from service.database.clock import utc_now
from service.database.tables import LOCAL_OWNER_ID
from service.storage import key_for
from service.uploads.records import StoredPicture
from service.workers import Presence
from tests.checkpoints.stable_diffusion import stable_diffusion
from tests.support.service_driver import generate_params, interpolate_params
from worker.heartbeat import Heartbeat
from worker.loop import WorkerLoop
from worker.model_cache import ModelCache
from worker.outputs.safety import SafetyFilter

MODEL = "noise"
SIZE_PX = 32


def catalogue_file(folder, *, models=(MODEL,)):
    """A catalogue of small models with random weights; the first is the default."""
    parts = [f'default = "{models[0]}"\n']
    for seed, name in enumerate(models):
        source = stable_diffusion(folder / name, seed=seed)
        parts.append(
            f'[{name}]\nfamily = "sd"\nsource = "{source}"\nwidth = {SIZE_PX}\nheight = {SIZE_PX}\n'
            f"steps = 4\nguidance_scale = 2.0\ntraining = {{ resolution = {SIZE_PX} }}\n"
        )
    parts.append('[missing]\nfamily = "sd"\nsource = "/nowhere"\nwidth = 32\nheight = 32\n')
    path = folder / "models.toml"
    path.write_text("\n".join(parts))
    return path


def later(service, delay):
    """A service whose clock is ahead of this machine's."""
    return replace(service, database=service.database.with_clock(lambda: utc_now() + delay))


def visit(maintenance, service, seconds):
    """Have a maintenance visit the database every second, by its clock, from now until so many seconds later."""
    for second in range(seconds + 1):
        maintenance._service = later(service, timedelta(seconds=second))
        maintenance.expire_leases()


def pictures(seed=0, count=2):
    generator = np.random.default_rng(seed)
    for _ in range(count):
        buffer = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(buffer, "PNG")
        yield buffer.getvalue()


class JobClient:
    """Submits jobs and reads their state and results."""

    def __init__(self, service):
        self.service = service

    def train(self, name, *, seed=0, steps=6, model=MODEL, **settings):
        """Creates a concept; returns its training's id."""
        training = complete_settings(
            self.service.catalogue[model],
            "dti",
            {"steps": steps, "seed": seed, "batch_size": 2, **settings},
            self.service.settings.limits,
        )
        new = CheckedConcept(
            owner_id=LOCAL_OWNER_ID,
            name=name,
            class_word="dog",
            learnable_property="object",
            model=model,
            method="dti",
            training=training,
        )
        stored = [self._store(data, number) for number, data in enumerate(pictures(seed=len(name)))]
        with self.service.database.writing() as session:
            return concepts.create(self.service, session, new, stored)[1].id

    def retrain(self, name, fields):
        with self.service.database.writing() as session:
            return concepts.retrain(self.service, session, LOCAL_OWNER_ID, name, RetrainParams(**fields)).id

    def generate(self, prompt="a photo of the dog", **fields):
        params = generate_params(**{"prompt": prompt, "seed": 7, **fields})
        with self.service.database.writing() as session:
            return generations.submit_generation(self.service, session, LOCAL_OWNER_ID, params).id

    def interpolate(self, start, end, **fields):
        params = interpolate_params(**{"start": start, "end": end, "seed": 7, **fields})
        with self.service.database.writing() as session:
            return generations.submit_interpolation(self.service, session, LOCAL_OWNER_ID, params).id

    def cancel(self, job_id):
        with self.service.database.writing() as session:
            jobs.request_cancel(session, job_id)

    def job(self, job_id):
        with self.service.database.reading() as session:
            return jobs.get(session, LOCAL_OWNER_ID, job_id)

    def concept(self, name):
        with self.service.database.reading() as session:
            return concepts.get(session, LOCAL_OWNER_ID, name)

    def curve(self, job_id):
        with self.service.database.reading() as session:
            return jobs.training_metrics(session, job_id)

    def events(self, job_id):
        with self.service.database.reading() as session:
            return [event.name for event in jobs.events_after(session, job_id, 0)]

    def bytes_of(self, job_id, role="image"):
        """The job's files of a role, in order."""
        images = [image for image in self.job(job_id).images if image.role == role]
        return [self.service.storage.get(image.key) for image in images]

    def pixels_of(self, job_id):
        return [np.asarray(Image.open(io.BytesIO(data))).astype(int) for data in self.bytes_of(job_id)]

    def embedding(self, name):
        version = self.concept(name).embedding
        return Embedding.from_bytes(self.service.storage.get(version.key))

    def _store(self, data, number):
        key = key_for(LOCAL_OWNER_ID, "pictures", data, "png")
        self.service.storage.put(key, data, "image/png")
        return StoredPicture(
            key=key,
            sha256=key.rpartition("/")[2].partition(".")[0],
            filename=f"{number}.png",
            content_type="image/png",
            width=48,
            height=40,
            bytes=len(data),
            caption=None,
        )


class WorkerDriver:
    """A worker that runs when the test calls `work`."""

    def __init__(self, service, name="ada"):
        self.stopping = threading.Event()
        self.cards = {}
        self.model_cache = ModelCache(service.catalogue, self.cards.__setitem__, SafetyFilter(service.settings.safety))
        self.heartbeat = Heartbeat(
            service,
            lambda: Presence(
                worker_id=name,
                device="cpu",
                models=self.model_cache.models,
                served_models=tuple(service.catalogue),
                load=self.model_cache.load,
            ),
        )
        self.loop = WorkerLoop(service, name, self.model_cache, self.heartbeat, self.stopping)

    def work(self):
        self.loop.work()


def until(condition, timeout_s=30.0):
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not hold within {timeout_s:g} s"
        time.sleep(0.005)
