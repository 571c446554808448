"""The application: its components around an open service, its middleware, and its routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from api import authentication, errors, openapi
from api.body_limits import BodyLimit, CompleteForms, OneLength
from api.deps import Components
from api.openai_errors import OpenAIErrors
from api.request_log import RequestLog
from api.routes import (
    audit,
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
from api.unknown_fields import reject_unknown_parameters
from service.context import Service

_VERSION = "1"
_DESCRIPTION = """Train concepts of text-to-image models from a few pictures, and generate images of them.

**Versions.** The paths begin with the version, `/v1`. Within a version, calls, fields, query parameters, error codes
and members of enumerations are added, and nothing is removed or renamed: ignore fields that you do not know. What is
to go is marked `deprecated` here and answered with a `Deprecation` header (RFC 9745) and a `Sunset` header (RFC 8594)
for at least six months before a new version does without it."""
_RESOURCES = (
    audit,
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
        description=_DESCRIPTION,
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
        app.include_router(resource.router, prefix="/v1", dependencies=[Depends(reject_unknown_parameters)])
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
