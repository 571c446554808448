"""The documentation page, with scripts from an installed package: it sends no requests to other hosts."""

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

_ASSETS = "/docs/assets"


def install(app: FastAPI) -> None:
    """Serve the page at /docs."""
    app.mount(_ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]))
    app.add_api_route("/docs", _page, include_in_schema=False, response_class=HTMLResponse)


async def _page(request: Request) -> HTMLResponse:
    return get_swagger_ui_html(
        openapi_url=request.app.openapi_url,
        title=request.app.title,
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon.png",
        # Unset, the page would load a badge from another host.
        swagger_ui_parameters={"validatorUrl": None},
    )
