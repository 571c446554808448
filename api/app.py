"""The application: its components around an open service, its middleware, and its routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api import authentication, errors, openapi
from api.body_limits import BodyLimit, CompleteForms, OneLength
from api.deps import Components
from api.openai_errors import OpenAIErrors
from api.request_log import RequestLog
from api.routes import (
    concept_images,
    concepts,
    docs,
    embeddings,
    files,
    gallery,
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
_RESOURCES = (
    concepts,
    concept_images,
    embeddings,
    gallery,
    generations,
    images,
    interpolations,
    jobs,
    keys,
    models,
    usage,
    webhooks,
)


def create_app(service: Service) -> FastAPI:
    """The application around an open service, which it closes at shutdown.

    Raises:
        SettingsError: CORS origins are set without authentication.
    """
    app = FastAPI(
        title="DTI",
        version=_VERSION,
        description="Train concepts of text-to-image models from a few pictures, and generate images of them.",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        generate_unique_id_function=_operation_id,
    )
    app.state.components = Components.create(service)
    app.add_middleware(CompleteForms)
    limits = service.settings.limits
    app.add_middleware(BodyLimit, form_bytes=limits.body_bytes, json_bytes=min(limits.json_bytes, limits.body_bytes))
    authentication.install(app, service, app.state.components.rate_limiter)
    # Outside of authentication: OpenAI's clients read its errors, too.
    app.add_middleware(OpenAIErrors)
    app.add_middleware(OneLength)
    # Outermost: a refused request has an id and a line as well.
    app.add_middleware(RequestLog, metrics=app.state.components.metrics)
    errors.install(app)
    for resource in _RESOURCES:
        app.include_router(resource.router, prefix="/v1")
    app.include_router(health.router)
    docs.install(app)
    page.install(app, service.settings)
    openapi.install(app)
    # Last, since a bucket may have any name.
    files.install(app, service)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    components: Components = app.state.components
    try:
        yield
    finally:
        components.close()


def _operation_id(route: APIRoute) -> str:
    """The function's name; generated clients name their method after it."""
    return route.name
