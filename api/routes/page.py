"""The page at /: static files of this package with a Content Security Policy; independent of the API."""

from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from service.settings import Settings

_FILES = "/page"
_INDEX = "index.html"


def install(app: FastAPI, settings: Settings) -> None:
    """Serve the page at / and its files below /page."""
    files = _PageFiles(_policy(settings))

    async def page(request: Request) -> Response:
        return await files.get_response(_INDEX, request.scope)

    app.add_api_route("/", page, methods=["GET", "HEAD"], include_in_schema=False)
    app.mount(_FILES, files)


class _PageFiles(StaticFiles):
    """The files of the package, with the headers of every response."""

    def __init__(self, policy: str) -> None:
        super().__init__(packages=[("api", "page")])
        self._headers = {
            "Content-Security-Policy": policy,
            # Revalidated on every load (304 while unchanged): an update never mixes with cached files.
            "Cache-Control": "no-cache",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(self._headers)
        return response


def _policy(settings: Settings) -> str:
    """The Content Security Policy: the page's own files, and images from the origin of the object store."""
    image_sources = " ".join(("'self'", *_storage_origin(settings)))
    directives = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": f"{image_sources} blob:",
        "media-src": image_sources,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _storage_origin(settings: Settings) -> tuple[str, ...]:
    """The origin of signed URLs, if it is not this server; empty otherwise."""
    endpoint = settings.s3_public_endpoint or settings.s3_endpoint
    if endpoint is None:
        return ()
    parts = urlsplit(endpoint)
    return (f"{parts.scheme}://{parts.netloc}",)
