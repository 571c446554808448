import io

import numpy as np
from PIL import Image

from dti.embeddings.mixing import interpolate
from dti.families import load
from dti.render import PictureWork, Renderer
from service.catalogue.models import Catalogue
from tests.support.worker_driver import MODEL, SIZE_PX


def rendered(catalogue, prompt, embeddings, *, seed):
    """The picture that the library makes alone."""
    renderer = Renderer(load("sd", Catalogue.load(catalogue)[MODEL].source))
    work = PictureWork(
        prompt=prompt,
        concepts=embeddings,
        width=SIZE_PX,
        height=SIZE_PX,
        steps=4,
        guidance_scale=2.0,
        scheduler="dpmpp_2m",
        seed=seed,
    )
    slot = renderer.admit(work)
    while not slot.finished:
        renderer.advance()
    return np.asarray(slot.picture).astype(int)


def test_a_training_makes_an_embedding_that_the_library_loads(client, worker):
    training = client.train("my-dog", steps=5)
    worker.work()
    job, concept, embedding = client.job(training), client.concept("my-dog"), client.embedding("my-dog")
    assert (job.status, job.step, job.total) == ("succeeded", 5, 5)
    assert (embedding.trigger, embedding.class_word, embedding.steps) == ("my-dog", "dog", 5)
    rows = embedding.rows["text_encoder"]
    outline = {
        "vectors": len(rows.direction),
        "dim": rows.direction.shape[1],
        "magnitude": float(rows.magnitude.mean()),
    }
    assert concept.embedding.encoders == {"text_encoder": outline}


def test_a_training_has_its_whole_curve(client, worker):
    training = client.train("my-dog", steps=7)
    worker.work()
    curve = client.curve(training)
    assert curve.step == list(range(1, 8))
    assert all(loss > 0 for loss in curve.loss)
    assert curve.angle_rad[0] > 0


def test_previews_match_the_library_and_the_training_ends_after_the_last(client, worker, catalogue):
    training = client.train("my-dog", steps=6, preview_every=3, preview_prompt="a painting of {}")
    worker.work()
    previews = [image for image in client.job(training).images if image.role == "preview"]
    assert [preview.position for preview in previews] == [3, 6]
    assert client.events(training).count("preview") == 2
    assert {preview.prompt for preview in previews} == {"a painting of <my-dog>"}
    alone = rendered(catalogue, "a painting of <my-dog>", {"my-dog": client.embedding("my-dog")}, seed=0)
    last = np.asarray(Image.open(io.BytesIO(client.bytes_of(training, "preview")[-1])))
    assert abs(last - alone).max() <= 1


def test_a_training_reports_the_assessment_of_its_pictures(client, worker):
    training = client.train("my-dog", steps=2)
    worker.work()
    assessments = client.job(training).result["training_images"]
    assert [assessment["id"] for assessment in assessments] == [
        picture.id for picture in client.concept("my-dog").pictures
    ]
    assert all(assessment["kept"] is (assessment["reason"] is None) for assessment in assessments)


def test_the_pictures_of_a_generation_are_in_order_and_have_consecutive_seeds(client, worker, catalogue):
    client.train("my-dog", steps=3)
    worker.work()
    generation = client.generate("a photo of <my-dog>", num_images=3, seed=11)
    worker.work()
    job = client.job(generation)
    assert (job.status, job.step, job.total) == ("succeeded", 12, 12)
    assert [(image.position, image.seed) for image in job.images] == [(0, 11), (1, 12), (2, 13)]
    embeddings = {"my-dog": client.embedding("my-dog")}
    for number, pixels in enumerate(client.pixels_of(generation)):
        assert abs(pixels - rendered(catalogue, "a photo of <my-dog>", embeddings, seed=11 + number)).max() <= 1


def test_the_same_request_alone_gives_the_same_bytes(client, worker):
    files = []
    for _ in range(2):
        generation = client.generate("a photo of the dog", seed=5)
        worker.work()
        files.append(client.bytes_of(generation))
    assert files[0] == files[1]


def test_generations_beyond_the_capacity_are_completed(client, worker):
    generation = client.generate(num_images=16)
    second = client.generate(num_images=16, seed=100)
    worker.work()
    assert [len(client.bytes_of(job)) for job in (generation, second)] == [16, 16]


def test_an_interpolation_mixes_two_concepts_at_every_share_from_the_same_noise(client, worker, catalogue):
    client.train("cat-a", seed=1)
    client.train("dog-b", seed=2)
    worker.work()
    job_id = client.interpolate(
        "cat-a", "dog-b", shares=[0.0, 0.3, 1.0], prompt="a photo of {}", animation="gif", contact_sheet=True
    )
    worker.work()
    job = client.job(job_id)
    pictures = [image for image in job.images if image.role == "image"]
    assert (job.status, [picture.share for picture in pictures]) == ("succeeded", [0.0, 0.3, 1.0])
    ends = client.embedding("cat-a"), client.embedding("dog-b")
    for share, pixels in zip((0.0, 0.3, 1.0), client.pixels_of(job_id), strict=True):
        mixed = interpolate(*ends, share, "slerp")
        assert abs(pixels - rendered(catalogue, "a photo of <between>", {"between": mixed}, seed=7)).max() <= 1
    (animation,), (sheet,) = client.bytes_of(job_id, "animation"), client.bytes_of(job_id, "contact_sheet")
    assert Image.open(io.BytesIO(animation)).n_frames == 3
    assert Image.open(io.BytesIO(sheet)).width > 3 * SIZE_PX


def test_eight_concepts_in_one_batch_give_the_pictures_that_each_gives_alone(client, worker, catalogue):
    names = [f"concept-{'x' * number}" for number in range(8)]
    for seed, name in enumerate(names):
        client.train(name, seed=seed, steps=2)
    worker.work()
    generations = [client.generate(f"a photo of <{name}>", seed=seed) for seed, name in enumerate(names)]
    worker.work()
    for seed, (name, generation) in enumerate(zip(names, generations, strict=True)):
        alone = rendered(catalogue, f"a photo of <{name}>", {name: client.embedding(name)}, seed=seed)
        assert abs(client.pixels_of(generation)[0] - alone).max() <= 1


def test_a_training_can_continue_from_the_current_embedding(client, worker):
    client.train("my-dog", steps=3)
    worker.work()
    before = client.embedding("my-dog")
    job_id = client.retrain("my-dog", {"start": "current", "training": {"learning_rate": 1e-6, "steps": 1}})
    worker.work()
    after = client.embedding("my-dog").rows["text_encoder"].direction
    assert client.job(job_id).status == "succeeded"
    assert abs(after - before.rows["text_encoder"].direction).max() < 1e-5
