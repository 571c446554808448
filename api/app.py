"""The application: its parts around an open service, its routes, and what every request passes through first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api import authentication, errors, openapi
from api.body_limits import BodyLimit, WholeForms
from api.deps import Parts
from api.openai_errors import OpenAIErrors
from api.routes import (
    concepts,
    docs,
    embeddings,
    files,
    generations,
    health,
    images,
    interpolations,
    jobs,
    keys,
    models,
    page,
    usage,
    webhooks,
)
from service.context import Service

_VERSION = "1"
_RESOURCES = (concepts, embeddings, generations, images, interpolations, jobs, keys, models, usage, webhooks)


def create_app(service: Service) -> FastAPI:
    """The application around an open service, which it closes at its end.

    Raises:
        SettingsError: the settings would serve people whom they must not.
    """
    app = FastAPI(
        title="DTI",
        version=_VERSION,
        description="Teach text-to-image models a concept from a few pictures, and make pictures with it.",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        generate_unique_id_function=_operation_id,
    )
    app.state.parts = Parts.around(service)
    app.add_middleware(WholeForms)
    limits = service.settings.limits
    app.add_middleware(BodyLimit, form_bytes=limits.body_bytes, json_bytes=min(limits.json_bytes, limits.body_bytes))
    authentication.install(app, service, app.state.parts.rates)
    # Outside of what may refuse a caller: its refusals are read by OpenAI's clients, too.
    app.add_middleware(OpenAIErrors)
    errors.install(app)
    for resource in _RESOURCES:
        app.include_router(resource.router, prefix="/v1")
    app.include_router(health.router)
    docs.install(app)
    page.install(app, service.settings)
    openapi.install(app)
    # Last, for a bucket may be called like anything.
    files.install(app, service.settings)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: Parts = app.state.parts
    try:
        yield
    finally:
        parts.watcher.close()
        parts.rates.close()
        parts.service.close()


def _operation_id(route: APIRoute) -> str:
    """The function's name, which is what generated clients call it."""
    return route.name
