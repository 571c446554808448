"""The provenance in the files of jobs."""

import io
import json

import sd_parsers
from PIL import Image

from tests.support.worker_driver import MODEL


def test_files_name_their_model_and_concepts_by_digest_and_are_reproducible(client, worker):
    client.train("my-dog")
    worker.work()
    fields = {"prompt": "a photo of <my-dog>", "negative_prompt": "rain", "steps": 2}
    generations = [client.generate(**fields), client.generate(**fields)]
    interpolations = [
        client.interpolate("my-dog", "my-dog", frames=2, steps=2, animation="gif", contact_sheet=True)
        for _ in generations
    ]
    worker.work()
    for first, again in (generations, interpolations):
        assert client.bytes_of(first) == client.bytes_of(again)
    (data,) = client.bytes_of(generations[0])
    (sampler,) = sd_parsers.ParserManager().parse(io.BytesIO(data)).samplers
    family = worker.model_cache.get(MODEL).family
    assert (sampler.model.name, sampler.model.hash) == (MODEL, family.fingerprint[:10])
    exact = json.loads(Image.open(io.BytesIO(data)).text["dti"])
    assert exact["concepts"] == {"my-dog": client.concept("my-dog").embedding.sha256}
    (sheet,) = client.bytes_of(interpolations[0], "contact_sheet")
    assert json.loads(Image.open(io.BytesIO(sheet)).text["dti"])["share"] == "0, 1"
    (animation,) = client.bytes_of(interpolations[0], "animation")
    assert b"a photo of {}" in Image.open(io.BytesIO(animation)).info["comment"]
