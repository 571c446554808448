"""OpenAI's own client library, unchanged, against the whole stack."""

import base64
import io

import httpx
import openai
import pytest
from PIL import Image


@pytest.fixture
def openai_client(stack, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="nobody-asks-for-one", max_retries=0) as client:
        yield client


def test_pictures_of_a_concept_are_returned_as_urls_and_as_base64(stack, untroubled, openai_client):
    addressed = openai_client.images.generate(prompt="a photo of <ball>", model="tiny", n=2, size="64x64", user="ada")
    assert len(addressed.data) == 2
    for image in addressed.data:
        data = httpx.get(image.url, timeout=90, trust_env=False).raise_for_status().content
        assert Image.open(io.BytesIO(data)).size == (64, 64)
    whole = openai_client.images.generate(
        prompt="a photo of <ball>", n=2, response_format="b64_json", output_format="webp", quality="high"
    )
    pictures = [Image.open(io.BytesIO(base64.b64decode(image.b64_json))) for image in whole.data]
    assert [(picture.format, picture.size) for picture in pictures] == [("WEBP", (64, 64))] * 2
    assert whole.created > 0


def test_its_errors_have_the_services_detail(stack, openai_client):
    with pytest.raises(openai.UnprocessableEntityError, match="<nobody>") as refused:
        openai_client.images.generate(prompt="a <nobody>", model="tiny")
    assert refused.value.code == "unknown_concept"


def test_its_client_lists_the_models(stack, openai_client):
    assert [model.id for model in openai_client.models.list()] == ["tiny"]
