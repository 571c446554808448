"""Iterators over pages, typed keywords, and what notebooks show."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
from dti_client import AsyncClient, Client, fields, models

from tools import api_docs

PAGES = {None: {"items": [{"n": 1}, {"n": 2}], "next": "a"}, "a": {"items": [{"n": 3}], "next": None}}


def answer(request):
    """Pages of images whose ids are numbers, and the query of each."""
    page = PAGES[request.url.params.get("cursor")]
    items = [gallery_image(str(item["n"]), request.url.params.get("q")) for item in page["items"]]
    return httpx.Response(200, json={"items": items, "next": page["next"]})


def gallery_image(image_id, prompt):
    moment = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    known = {"id": image_id, "prompt": prompt, "created_at": moment, "concepts": [], "favourite": False, "job": "job_1"}
    numbers = dict.fromkeys(("width", "height", "bytes"), 64)
    texts = dict.fromkeys(("content_type", "sha256", "kind", "model"), "x")
    return {**known, **numbers, **texts, "url": "https://x/1.png", "seed": 7, "share": None, "safety": None}


def test_an_iterator_goes_through_all_pages_with_the_same_filters():
    client = Client("http://test")
    client._http = httpx.Client(base_url="http://test", transport=httpx.MockTransport(answer))
    assert [(image.id, image.prompt) for image in client.iter_images(q="dog")] == [
        ("1", "dog"),
        ("2", "dog"),
        ("3", "dog"),
    ]


def test_an_asynchronous_iterator_does_so_too():
    async def collect():
        client = AsyncClient("http://test")
        client._http = httpx.AsyncClient(base_url="http://test", transport=httpx.MockTransport(answer))
        return [image.id async for image in client.iter_images(q="dog")]

    assert asyncio.run(collect()) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("schema", "kind", "given"),
    [
        ("GenerationRequest", fields.GenerationFields, {"prompt"}),
        ("InterpolationRequest", fields.InterpolationFields, {"from", "to"}),
        ("ImagesRequest", fields.ImagesFields, {"prompt"}),
    ],
)
def test_typed_keywords_are_the_fields_of_the_document(schema, kind, given):
    properties = api_docs.document()["components"]["schemas"][schema]["properties"]
    assert set(kind.__annotations__) | given == set(properties)


def test_a_notebook_shows_pictures_and_escapes_texts():
    image = models.Image(**{name: gallery_image("img_1", '<b>"x"')[name] for name in models.Image.__dataclass_fields__})
    shown = image._repr_html_()
    assert '<img src="https://x/1.png"' in shown
    assert "<b>" not in shown
